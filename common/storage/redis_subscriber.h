#ifndef HANDRAIL_COMMON_STORAGE_REDIS_SUBSCRIBER_H_
#define HANDRAIL_COMMON_STORAGE_REDIS_SUBSCRIBER_H_

#include <functional>
#include <memory>

#include "common/storage/redis.h"
#include "common/storage/redis_locator.h"

namespace handrail::storage {

// As ConnectRedisSubscriber, to what `locator` finds.
std::unique_ptr<RedisSubscriber> MakeRedisSubscriber(std::unique_ptr<RedisLocator> locator,
                                                     const RedisOptions& options,
                                                     RedisSubscriber::Listener listener,
                                                     std::function<void()> on_reconnect);

}  // namespace handrail::storage

#endif  // HANDRAIL_COMMON_STORAGE_REDIS_SUBSCRIBER_H_
