#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_PAGE_TOKEN_KEY_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_PAGE_TOKEN_KEY_H_

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/crypto/secret_key.h"
#include "common/storage/database.h"

namespace handrail::messaging {

// The key of page tokens, made at the first start and shared by all replicas through the database.
// It stands there in the clear, because a page token authorizes nothing: who holds the key can make
// a list begin elsewhere in their own list, no more. After the store's migrations.
absl::StatusOr<crypto::SecretKey> LoadOrCreatePageTokenKey(storage::Database& database,
                                                           const Clock& clock, Random& random);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_PAGE_TOKEN_KEY_H_
