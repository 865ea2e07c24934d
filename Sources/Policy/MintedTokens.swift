// Tokens of our own that are still fresh enough to be sent again, by whom they are about and who made them: a request whose
// credential is cached signs nothing.
package import Bytes

struct MintedToken: ~Copyable {
    let principal: Principal
    let mint: UInt64
    /// Wall-clock seconds; sent before this one.
    let freshUntil: Int64
    let text: ByteBuffer

    borrowing func write(to out: inout ByteBuffer) { out.append(text.bytes) }
}

package struct MintedTokens: ~Copyable {
    /// As many as a worker keeps of those that are about to be sent; each costs one signature again when it is pushed out.
    private static let setCount = 1 << 14
    private static let ways = 4
    /// Bytes of all of them: a token about somebody with many permissions has 2 KiB.
    private static let maximumBytes = 32 << 20

    private var tokens = SlotTable<MintedToken>(capacity: setCount * ways)
    /// Slots by the set that a key falls into, plus one; 0: none.
    private var index = ZeroedArray<Int32>(count: setCount * ways)
    private var bytes = 0

    package init() {}

    /// The token, when there is one that may be sent now.
    package mutating func find(_ principal: Principal, _ mint: IdentityMint, now: Int64) -> SlotID? {
        let set = Self.set(principal, mint.number)
        for way in set..<set + Self.ways {
            guard let id = tokens.occupant(index[way] - 1), tokens[id].mint == mint.number,
                tokens[id].principal == principal
            else { continue }
            if now < tokens[id].freshUntil { return id }
            remove(way)
            return nil
        }
        return nil
    }

    /// Keeps a token in place of the one of its set that would go first.
    package mutating func insert(
        _ token: borrowing Span<UInt8>, of principal: Principal, _ mint: IdentityMint, freshUntil: Int64
    ) {
        // Rare enough that starting anew beats an order of all of them.
        if bytes + token.count > Self.maximumBytes { removeAll() }
        let set = Self.set(principal, mint.number)
        var chosen = set
        var earliest = Int64.max
        for way in set..<set + Self.ways {
            let until = tokens.occupant(index[way] - 1).map { tokens[$0].freshUntil } ?? .min
            if until < earliest { (chosen, earliest) = (way, until) }
        }
        remove(chosen)
        var text = ByteBuffer(capacity: max(1, token.count))
        text.append(token)
        let minted = MintedToken(principal: principal, mint: mint.number, freshUntil: freshUntil, text: text)
        guard let id = tokens.insert(minted) else { return }
        bytes += token.count
        index[chosen] = id.index + 1
    }

    package borrowing func write(_ id: SlotID, to out: inout ByteBuffer) { tokens[id].write(to: &out) }

    private mutating func remove(_ way: Int) {
        guard let id = tokens.occupant(index[way] - 1) else { return }
        bytes -= tokens[id].text.count
        tokens.destroy(id)
        index[way] = 0
    }
    private mutating func removeAll() {
        for way in 0..<index.count { remove(way) }
    }

    /// Slots are handed out one after the other, so that their numbers are spread well enough.
    private static func set(_ principal: Principal, _ mint: UInt64) -> Int {
        let entry = UInt64(UInt32(bitPattern: principal.entry.index))
        let provider = UInt64(UInt32(bitPattern: principal.provider.index))
        let mixed = (entry &+ provider &* 0x9e37_79b9 &+ mint &* 0x85eb_ca6b) &* 0x9e37_79b9_7f4a_7c15
        return Int(mixed >> 50) * ways
    }
}
