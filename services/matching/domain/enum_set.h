#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_ENUM_SET_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_ENUM_SET_H_

#include <bit>
#include <cstdint>
#include <initializer_list>

namespace handrail::matching {

// A set of values of an enum whose values are 0..31, in 32 bits. Zero means "not said" in every
// enum of ours and is never a member: adding it changes nothing.
template <typename E>
class EnumSet {
 public:
  constexpr EnumSet() = default;
  constexpr EnumSet(std::initializer_list<E> values) {
    for (const E value : values) Add(value);
  }
  static constexpr EnumSet FromBits(uint32_t bits) {
    EnumSet set;
    set.bits_ = bits & ~1u;
    return set;
  }

  constexpr void Add(E value) { bits_ |= (1u << static_cast<unsigned>(value)) & ~1u; }
  constexpr void Remove(E value) { bits_ &= ~(1u << static_cast<unsigned>(value)); }
  constexpr bool Contains(E value) const {
    return ((bits_ >> static_cast<unsigned>(value)) & 1u) != 0;
  }
  constexpr bool ContainsAll(EnumSet other) const { return (other.bits_ & ~bits_) == 0; }
  constexpr bool Intersects(EnumSet other) const { return (bits_ & other.bits_) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr int size() const { return std::popcount(bits_); }
  constexpr uint32_t bits() const { return bits_; }

  // In rising order of value.
  template <typename Visit>
  constexpr void ForEach(Visit visit) const {
    for (uint32_t rest = bits_; rest != 0; rest &= rest - 1) {
      visit(static_cast<E>(std::countr_zero(rest)));
    }
  }

  friend constexpr EnumSet operator&(EnumSet a, EnumSet b) { return FromBits(a.bits_ & b.bits_); }
  friend constexpr EnumSet operator|(EnumSet a, EnumSet b) { return FromBits(a.bits_ | b.bits_); }
  friend constexpr bool operator==(EnumSet, EnumSet) = default;

 private:
  uint32_t bits_ = 0;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_ENUM_SET_H_
