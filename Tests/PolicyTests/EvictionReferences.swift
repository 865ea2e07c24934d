// What the cache's choice of victims is compared with: the least recently used one, and a second-chance clock.

/// Items are numbers below `items`; a look-up of one that is not there puts it there.
protocol ReferenceCache {
    init(limit: Int, items: Int)
    /// Whether the item was there.
    mutating func lookUp(_ item: Int) -> Bool
}

/// A list in the order of use.
struct LeastRecentlyUsed: ReferenceCache {
    private let limit: Int
    private var count = 0
    /// Neighbours of each item; a list through all of them begins and ends at the number of items.
    private var older: [Int32]
    private var newer: [Int32]

    init(limit: Int, items: Int) {
        self.limit = limit
        older = Array(repeating: -1, count: items + 1)
        newer = older
        older[items] = Int32(items)
        newer[items] = Int32(items)
    }

    mutating func lookUp(_ item: Int) -> Bool {
        let isHit = older[item] >= 0
        if isHit {
            unlink(item)
        } else if count == limit {
            let oldest = Int(newer[newer.count - 1])
            unlink(oldest)
            older[oldest] = -1
        } else {
            count += 1
        }
        let end = older.count - 1
        let newest = Int(older[end])
        older[item] = Int32(newest)
        newer[item] = Int32(end)
        newer[newest] = Int32(item)
        older[end] = Int32(item)
        return isHit
    }

    private mutating func unlink(_ item: Int) {
        newer[Int(older[item])] = newer[item]
        older[Int(newer[item])] = older[item]
    }
}

/// A hand over the places: who was used since it came by is passed over once.
struct SecondChance: ReferenceCache {
    private static let unused: UInt8 = 1, used: UInt8 = 2
    private let limit: Int
    private var places: [Int32] = []
    private var states: [UInt8]
    private var hand = 0

    init(limit: Int, items: Int) {
        self.limit = limit
        states = Array(repeating: 0, count: items)
    }

    mutating func lookUp(_ item: Int) -> Bool {
        let isHit = states[item] != 0
        states[item] = Self.used
        if isHit { return true }
        guard places.count == limit else {
            places.append(Int32(item))
            return false
        }
        while states[Int(places[hand])] == Self.used {
            states[Int(places[hand])] = Self.unused
            hand = (hand + 1) % limit
        }
        states[Int(places[hand])] = 0
        places[hand] = Int32(item)
        hand = (hand + 1) % limit
        return false
    }
}
