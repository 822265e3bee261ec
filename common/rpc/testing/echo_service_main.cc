// The smallest service there can be, for the test of RunMain.
#include "common/rpc/main_support.h"
#include "common/rpc/testing/rpc_test_service.grpc.pb.h"

namespace handrail::rpc::testing {
namespace {

class Handler final : public EchoService::CallbackService {
 public:
  explicit Handler(Edge& edge) : edge_(edge) {}
  grpc::ServerUnaryReactor* Browse(grpc::CallbackServerContext* context,
                                   const BrowseRequest* request, EchoResponse* response) override {
    return edge_.Unary(context, request, response,
                       [](const Call&, const BrowseRequest&, EchoResponse* answer) {
                         answer->set_text("here");
                         return absl::OkStatus();
                       });
  }

 private:
  Edge& edge_;
};

class Process final : public ServiceProcess {
 public:
  explicit Process(const MainContext& context) : handler_(context.edge) {}
  ServerServices Services() override {
    ServerServices services;
    services.public_services = {Registered<EchoService>(&handler_)};
    return services;
  }
  absl::Status Start() override { return absl::OkStatus(); }
  void Stop() override {}

 private:
  Handler handler_;
};

}  // namespace
}  // namespace handrail::rpc::testing

int main(int argc, char** argv) {
  using handrail::rpc::testing::EchoService;
  handrail::rpc::MainSpec spec;
  spec.service = "echo";
  spec.description = "Answers.";
  spec.public_services = {handrail::rpc::DescriptorOf<EchoService>()};
  spec.validate = [](const handrail::rpc::CommonOptions& options) {
    std::vector<std::string> faults;
    if (options.database_url.empty()) faults.push_back("--database_url is needed");
    return faults;
  };
  spec.build = [](const handrail::rpc::MainContext& context)
      -> absl::StatusOr<std::unique_ptr<handrail::rpc::ServiceProcess>> {
    return std::make_unique<handrail::rpc::testing::Process>(context);
  };
  return handrail::rpc::RunMain(argc, argv, spec);
}
