#include "services/matching/domain/watch_hub.h"

#include <algorithm>
#include <set>
#include <utility>

namespace handrail::matching {
namespace {

constexpr absl::Duration kListenTimeout = absl::Milliseconds(200);

}  // namespace

WatchHub::WatchHub(WakeChannel& channel, const Options& options)
    : channel_(channel),
      options_(options),
      workers_(options.threads, options.queue_limit),
      sweeper_(options.sweep_without_channel, [this] { Sweep(); }) {}

std::shared_ptr<WatchHub::Watch> WatchHub::Start(const std::string& topic, Refresh refresh) {
  auto watch = std::make_shared<Watch>(topic, std::move(refresh));
  {
    MutexLock lock(mutex_);
    watches_[topic].push_back(watch);
  }
  Schedule(watch);
  return watch;
}

void WatchHub::End(const std::shared_ptr<Watch>& watch) {
  if (watch->ended_.exchange(true)) return;
  {
    MutexLock lock(mutex_);
    const auto place = watches_.find(watch->topic_);
    if (place != watches_.end()) {
      auto& list = place->second;
      list.erase(std::remove(list.begin(), list.end(), watch), list.end());
      if (list.empty()) watches_.erase(place);
    }
  }
}

void WatchHub::Schedule(const std::shared_ptr<Watch>& watch) {
  if (watch->ended_ || watch->scheduled_.exchange(true)) return;
  const bool taken = workers_.TryRun([this, watch] {
    // What is published after this read is heard.
    if (!watch->heard_of_ && channel_.IsUp()) {
      watch->heard_of_ = channel_.WaitUntilListening(kListenTimeout);
    }
    bool goes_on = true;
    {
      MutexLock lock(watch->mutex_);
      watch->scheduled_ = false;  // a wake-up from now on reads again
      if (!watch->ended_ && watch->refresh_) goes_on = watch->refresh_();
      if (!goes_on) watch->refresh_ = nullptr;
    }
    if (!goes_on) End(watch);
  });
  if (!taken) watch->scheduled_ = false;  // the next sweep comes by
}

void WatchHub::WakeLocal(const std::string& topic) {
  std::vector<std::shared_ptr<Watch>> woken;
  {
    MutexLock lock(mutex_);
    const auto place = watches_.find(topic);
    if (place == watches_.end()) return;
    woken = place->second;
  }
  for (const auto& watch : woken) Schedule(watch);
}

void WatchHub::Wake(const Effects& effects) {
  std::set<std::string> topics(effects.topics.begin(), effects.topics.end());
  for (const OfferChange& offer : effects.offers) {
    topics.insert(TopicOf(offer.ticket));
    topics.insert(TopicOf(offer.sponsor));
  }
  for (const NoticeChange& notice : effects.notices) topics.insert(TopicOf(notice.member));
  for (const TicketChange& ticket : effects.tickets) {
    if (ticket.version > 1) topics.insert(TopicOf(ticket.ticket));  // nobody watches a new one yet
  }
  for (const std::string& topic : topics) WakeLocal(topic);
  channel_.Publish(std::vector<std::string>(topics.begin(), topics.end()));
}

void WatchHub::WakeAll() {
  std::vector<std::shared_ptr<Watch>> all;
  {
    MutexLock lock(mutex_);
    for (const auto& [topic, list] : watches_) all.insert(all.end(), list.begin(), list.end());
  }
  for (const auto& watch : all) Schedule(watch);
}

void WatchHub::Sweep() {
  const int every = static_cast<int>(options_.sweep / options_.sweep_without_channel);
  ++sweeps_;
  if (channel_.IsUp() && every > 1 && sweeps_ % every != 0) return;
  WakeAll();
}

void WatchHub::Stop() {
  sweeper_.Stop();
  workers_.Stop();
}

}  // namespace handrail::matching
