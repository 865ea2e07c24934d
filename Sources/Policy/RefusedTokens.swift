// Tokens that were refused for what they are, remembered for some seconds by their SHA-256: who sends the same bad token
// again gets the same answer without a signature being checked. A table of its own, so that bad tokens push out bad tokens.
import Bytes
import JOSE

struct RefusedTokens: ~Copyable {
    private static let sets = 1024
    /// Rows in which a token may lie.
    private static let ways = 4
    /// Words of a row: four of the hash, who judged, the seconds from which and before which it means something, the answer.
    private static let rowWords = 8

    private var words = ZeroedArray<UInt64>(count: sets * ways * rowWords)
    /// Wall-clock seconds, from which on nothing here means anything: where good tokens come, nothing is looked up.
    private var emptyFrom = Int64.min

    /// What was answered to that token when `provider` was asked for it under that plan.
    func find(
        _ key: SHA256Value, provider: SlotID, _ plan: borrowing AuthenticationPlan, now: Int64
    ) -> LocalResponse? {
        guard now < emptyFrom else { return nil }
        let judges = Self.word(provider, plan)
        var row = Self.firstRow(key)
        for _ in 0..<Self.ways {
            if words[row] == key.words.0, words[row + 1] == key.words.1, words[row + 2] == key.words.2,
                words[row + 3] == key.words.3, words[row + 4] == judges, isLive(row, now)
            {
                return LocalResponse(rawValue: UInt8(truncatingIfNeeded: words[row + 7]))
            }
            row += Self.rowWords
        }
        return nil
    }

    /// Remembers an answer for `seconds`, in place of one that means nothing any more, or of the oldest of four.
    mutating func insert(
        _ key: SHA256Value, provider: SlotID, _ plan: borrowing AuthenticationPlan, _ response: LocalResponse,
        now: Int64, seconds: Int64
    ) {
        guard seconds > 0 else { return }
        var row = Self.firstRow(key)
        var chosen = row
        for _ in 0..<Self.ways {
            guard isLive(row, now) else {
                chosen = row
                break
            }
            if words[row + 6] < words[chosen + 6] { chosen = row }
            row += Self.rowWords
        }
        words[chosen] = key.words.0
        words[chosen + 1] = key.words.1
        words[chosen + 2] = key.words.2
        words[chosen + 3] = key.words.3
        words[chosen + 4] = Self.word(provider, plan)
        words[chosen + 5] = UInt64(bitPattern: now)
        words[chosen + 6] = UInt64(bitPattern: now + seconds)
        words[chosen + 7] = UInt64(response.rawValue)
        emptyFrom = max(emptyFrom, now + seconds)
    }

    /// Keys or rules have changed: what was bad may be good now.
    mutating func removeAll() {
        guard emptyFrom > .min else { return }
        words = ZeroedArray(count: words.count)
        emptyFrom = .min
    }

    /// Not before it was found either: a token that has expired has not expired on a clock that was set back.
    private func isLive(_ row: Int, _ now: Int64) -> Bool {
        now >= Int64(bitPattern: words[row + 5]) && now < Int64(bitPattern: words[row + 6])
    }

    private static func firstRow(_ key: SHA256Value) -> Int {
        Int(truncatingIfNeeded: key.words.1 & UInt64(sets - 1)) * ways * rowWords
    }
    /// One provider by its name. Where a location asks several, which one judges depends on all of them: mixed into one
    /// number, for they are few and no request chooses them.
    private static func word(_ provider: SlotID, _ plan: borrowing AuthenticationPlan) -> UInt64 {
        var word = Self.word(provider)
        guard plan.count > 1 else { return word }
        for i in 0..<Int(plan.count) {
            word = (word ^ word >> 29 ^ Self.word(plan[i])) &* 0x9e37_79b9_7f4a_7c15
        }
        return word
    }
    private static func word(_ provider: SlotID) -> UInt64 {
        UInt64(provider.generation) << 32 | UInt64(UInt32(bitPattern: provider.index))
    }
}

extension TokenRefusal {
    /// Whether the same token meets it again under the same rules and keys, however late it is. Not so where a key that is
    /// missing may come, or where time may mend what is wrong, or hide it behind something else.
    var isLasting: Bool {
        switch self {
        case .malformed, .encrypted, .duplicateMember, .algorithmNotAllowed, .typeNotAllowed, .criticalExtension,
            .unsupportedHeader, .algorithmKeyMismatch, .signatureMissing, .signatureInvalid, .issuerMismatch,
            .audienceMismatch, .expired:
            true
        case .tooLarge, .keyUnknown, .keysUnavailable, .claimMissing, .claimType, .notYetValid, .lifetimeExceeded,
            .bindingMismatch:
            false
        }
    }
}
