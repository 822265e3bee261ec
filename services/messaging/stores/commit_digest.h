#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_COMMIT_DIGEST_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_COMMIT_DIGEST_H_

#include <string>

#include "services/messaging/domain/groups.h"

namespace handrail::messaging {

// A hash of all that a bundle says, so that a repeated one is known from another.
std::string DigestOf(const CommitBundle& bundle);

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_COMMIT_DIGEST_H_
