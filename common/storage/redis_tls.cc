#include "common/storage/redis_tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace handrail::storage {
namespace {

constexpr std::chrono::minutes kReload{1};

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

// What the TLS library has to say of the last failure: a fixed text, without data.
std::string LastError(absl::string_view otherwise) {
  const unsigned long code = ERR_peek_last_error();  // NOLINT(google-runtime-int): OpenSSL's type
  ERR_clear_error();
  const char* const text = code == 0 ? nullptr : ERR_reason_error_string(code);
  return text == nullptr ? std::string(otherwise) : std::string(text);
}

// OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE. This one goes through the
// plain transport.
int BioWrite(BIO* bio, const char* data, int size) {
  auto* const plain = static_cast<RedisTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  const auto transfer = plain->Write(data, static_cast<size_t>(size));
  if (transfer.outcome == RedisTransport::Outcome::kAgain) BIO_set_retry_write(bio);
  return transfer.outcome == RedisTransport::Outcome::kDone ? static_cast<int>(transfer.bytes) : -1;
}

int BioRead(BIO* bio, char* out, int size) {
  auto* const plain = static_cast<RedisTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  const auto transfer = plain->Read(out, static_cast<size_t>(size));
  if (transfer.outcome == RedisTransport::Outcome::kAgain) BIO_set_retry_read(bio);
  return transfer.outcome == RedisTransport::Outcome::kDone ? static_cast<int>(transfer.bytes) : -1;
}

long BioControl(BIO*, int command, long, void*) {  // NOLINT(google-runtime-int): OpenSSL's type
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* TransportBio() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "transport");
    BIO_meth_set_write(made, BioWrite);
    BIO_meth_set_read(made, BioRead);
    BIO_meth_set_ctrl(made, BioControl);
    BIO_meth_set_create(made, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return made;
  }();
  return method;
}

class TlsTransport final : public RedisTransport {
 public:
  // The context must live as long as its sessions; OpenSSL counts.
  TlsTransport(std::unique_ptr<RedisTransport> plain, SSL_CTX* context, const std::string& name)
      : plain_(std::move(plain)), ssl_(SSL_new(context)) {
    if (ssl_ == nullptr) return;
    BIO* const bio = BIO_new(TransportBio());
    BIO_set_data(bio, plain_.get());
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_connect_state(ssl_.get());
    X509_VERIFY_PARAM* const parameters = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    in6_addr scratch;
    if (inet_pton(AF_INET, name.c_str(), &scratch) == 1 ||
        inet_pton(AF_INET6, name.c_str(), &scratch) == 1) {
      X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str());
    } else {
      X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size());
      SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
    }
  }

  int fd() const override { return plain_->fd(); }

  short PollEvents(bool has_output) const override {
    if (!connected_) return plain_->PollEvents(false);
    if (!established_) return static_cast<short>(wants_write_ ? POLLOUT : POLLIN);
    return static_cast<short>(has_output ? POLLIN | POLLOUT : POLLIN);
  }

  Outcome Establish() override {
    if (ssl_ == nullptr) return Outcome::kFailed;
    if (!connected_) {
      const Outcome outcome = plain_->Establish();
      if (outcome == Outcome::kFailed) failure_ = plain_->Failure();
      if (outcome != Outcome::kDone) return outcome;
      connected_ = true;
    }
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) {
      established_ = true;
      return Outcome::kDone;
    }
    return Judge(result,
                 "the server closed the connection during the TLS handshake; does it "
                 "speak TLS on this port?");
  }

  // Until the buffer is full or nothing is left: one record is at most 16 KiB.
  Transfer Read(char* out, size_t size) override {
    size_t total = 0;
    while (total < size) {
      ERR_clear_error();
      const int part = static_cast<int>(std::min<size_t>(size - total, INT_MAX));
      const int result = SSL_read(ssl_.get(), out + total, part);
      if (result > 0) {
        total += static_cast<size_t>(result);
        continue;
      }
      const Outcome outcome = Judge(result, "the server closed the connection");
      if (total > 0) break;  // a failure shows again at the next read
      return {outcome, 0};
    }
    return {Outcome::kDone, total};
  }

  Transfer Write(const char* data, size_t size) override {
    ERR_clear_error();
    const int result =
        SSL_write(ssl_.get(), data, static_cast<int>(std::min<size_t>(size, INT_MAX)));
    if (result > 0) return {Outcome::kDone, static_cast<size_t>(result)};
    return {Judge(result, "the server closed the connection"), 0};
  }

  bool HasBufferedInput() const override { return established_ && SSL_pending(ssl_.get()) > 0; }
  absl::string_view Missing() const override {
    return connected_ ? "no answer to the TLS handshake in time; does the server speak TLS on this "
                        "port?"
                      : plain_->Missing();
  }
  std::string Failure() const override { return failure_; }

 private:
  Outcome Judge(int result, absl::string_view otherwise) {
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      wants_write_ = error == SSL_ERROR_WANT_WRITE;
      return Outcome::kAgain;
    }
    const long verified = SSL_get_verify_result(ssl_.get());  // NOLINT(google-runtime-int)
    if (verified != X509_V_OK) {
      failure_ = absl::StrCat("the server's certificate was not accepted: ",
                              X509_verify_cert_error_string(verified));
    } else if (error == SSL_ERROR_SSL) {
      const unsigned long code = ERR_peek_last_error();  // NOLINT(google-runtime-int)
      const int why = ERR_GET_REASON(code);
      if (why == SSL_R_WRONG_VERSION_NUMBER || why == SSL_R_PACKET_LENGTH_TOO_LONG) {
        failure_ = "the server does not speak TLS on this port";
        ERR_clear_error();
      } else {
        // An alert is the server's refusal, for instance of our own certificate.
        failure_ = absl::StrCat("TLS failed: ", LastError("no reason given"));
      }
    } else {
      failure_ = std::string(otherwise);
    }
    return Outcome::kFailed;
  }

  const std::unique_ptr<RedisTransport> plain_;
  const std::unique_ptr<SSL, SslDeleter> ssl_;
  bool connected_ = false;
  bool established_ = false;
  bool wants_write_ = false;
  std::string failure_ = "no TLS session could be made";
};

// OpenSSL reads what a certificate says of itself when that is first asked for, and keeps it in the
// certificate. Here that is before several threads verify with the same ones at once.
void ReadExtensions(SSL_CTX* context) {
  constexpr int kAnyPurpose = -1;
  STACK_OF(X509_OBJECT)* known = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
  for (int i = 0; i < sk_X509_OBJECT_num(known); ++i) {
    X509* const authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(known, i));
    if (authority != nullptr) X509_check_purpose(authority, kAnyPurpose, 0);
  }
  X509* const own = SSL_CTX_get0_certificate(context);
  if (own != nullptr) X509_check_purpose(own, kAnyPurpose, 0);
}

// Null with faults when a file cannot be used.
std::shared_ptr<SSL_CTX> LoadContext(const RedisTlsFiles& files, std::vector<std::string>& faults) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (context == nullptr) {
    faults.push_back("TLS cannot be initialized");
    return nullptr;
  }
  const size_t faults_before = faults.size();
  SSL_CTX* const c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
  // A key under a passphrase is refused; the default would ask for it on the terminal.
  SSL_CTX_set_default_passwd_cb(c, [](char*, int, int, void*) { return 0; });
  const auto refuse = [&faults](absl::string_view what, const std::string& file) {
    faults.push_back(absl::StrCat(what, " ", file, ": ", LastError("cannot be read")));
  };
  ERR_clear_error();
  if (files.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(c) != 1) refuse("ca_file", "of the system");
  } else if (SSL_CTX_load_verify_locations(c, files.ca_file.c_str(), nullptr) != 1) {
    refuse("ca_file", files.ca_file);
  }
  if (!files.certificate_file.empty() &&
      SSL_CTX_use_certificate_chain_file(c, files.certificate_file.c_str()) != 1) {
    refuse("certificate_file", files.certificate_file);
  }
  if (!files.key_file.empty()) {
    if (SSL_CTX_use_PrivateKey_file(c, files.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
      refuse("key_file", files.key_file);
    } else if (faults.size() == faults_before && SSL_CTX_check_private_key(c) != 1) {
      refuse("key_file", files.key_file);
    }
  }
  if (faults.size() != faults_before) return nullptr;
  ReadExtensions(c);
  return context;
}

}  // namespace

std::shared_ptr<RedisTls> RedisTls::Create(const RedisTlsFiles& files,
                                           std::vector<std::string>& faults) {
  std::shared_ptr<RedisTls> tls(new RedisTls(files));
  std::shared_ptr<SSL_CTX> context = LoadContext(files, faults);
  if (context == nullptr) return nullptr;
  MutexLock lock(tls->mutex_);
  tls->context_ = std::move(context);
  tls->loaded_at_ = std::chrono::steady_clock::now();
  return tls;
}

std::shared_ptr<SSL_CTX> RedisTls::Context() {
  const auto now = std::chrono::steady_clock::now();
  {
    MutexLock lock(mutex_);
    if (now < loaded_at_ + kReload) return context_;
    loaded_at_ = now;  // one thread looks; the others go on with what there is
  }
  // A file that is just being replaced is read whole the next time.
  std::vector<std::string> ignored;
  std::shared_ptr<SSL_CTX> fresh = LoadContext(files_, ignored);
  MutexLock lock(mutex_);
  if (fresh != nullptr) context_ = std::move(fresh);
  return context_;
}

std::unique_ptr<RedisTransport> RedisTls::Wrap(std::unique_ptr<RedisTransport> plain,
                                               const std::string& host) {
  const std::string& name = files_.server_name.empty() ? host : files_.server_name;
  return std::make_unique<TlsTransport>(std::move(plain), Context().get(), name);
}

}  // namespace handrail::storage
