// How many logins one address may ask for: a bucket of tokens each, in memory, bounded.
import Foundation
import Synchronization

final class AddressRate: Sendable {
    private struct Bucket {
        var tokens: Double
        var seconds: Double
    }

    /// A flood from ever new addresses costs no more memory than this.
    private static let addressLimit = 10_000
    /// A pause of this length fills a bucket again.
    private static let burstSeconds = 10.0

    private let perSecond: Double
    private let burst: Double
    private let buckets = Mutex<[String: Bucket]>([:])

    init(perSecond: Int) {
        self.perSecond = Double(perSecond)
        burst = Double(perSecond) * Self.burstSeconds
    }

    /// Takes one login from the address's bucket; when it is empty, the seconds until there is one.
    func take(_ address: String, at now: Date) -> Int? {
        let now = now.timeIntervalSince1970
        return buckets.withLock { buckets in
            if buckets.count >= Self.addressLimit { forget(&buckets, now) }
            let network = Self.network(of: address)
            let tokens = filled(buckets[network] ?? Bucket(tokens: burst, seconds: now), now)
            guard tokens >= 1 else {
                buckets[network] = Bucket(tokens: tokens, seconds: now)
                return Int(((1 - tokens) / perSecond).rounded(.up))
            }
            buckets[network] = Bucket(tokens: tokens - 1, seconds: now)
            return nil
        }
    }

    /// A clock that was set back takes nothing away.
    private func filled(_ bucket: Bucket, _ now: Double) -> Double {
        min(burst, bucket.tokens + max(0, now - bucket.seconds) * perSecond)
    }

    /// Full buckets say nothing; when that is not enough, the fuller half goes.
    private func forget(_ buckets: inout [String: Bucket], _ now: Double) {
        buckets = buckets.filter { filled($0.value, now) < burst }
        guard buckets.count >= Self.addressLimit else { return }
        let emptiest = buckets.sorted { filled($0.value, now) < filled($1.value, now) }.prefix(Self.addressLimit / 2)
        buckets = Dictionary(uniqueKeysWithValues: emptiest.map { ($0.key, $0.value) })
    }

    /// One customer has a whole /64 of IPv6: its addresses count as one.
    static func network(of address: String) -> String {
        var bytes = in6_addr()
        // Unsafe: inet_pton writes the 16 bytes of our structure and reads the string for the length of the call.
        guard address.contains(":"), unsafe inet_pton(AF_INET6, address, &bytes) == 1 else { return address }
        return unsafe withUnsafeBytes(of: bytes) { unsafe Array($0.prefix(8)) }
            .map { String($0, radix: 16) }.joined(separator: ":")
    }
}
