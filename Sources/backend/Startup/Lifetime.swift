// A span of time as people write it in configuration: `10s`, `10m`, `12h`, `30d`.

struct Lifetime: Sendable, Equatable {
    let seconds: Int

    var milliseconds: Int64 { Int64(seconds) * 1000 }

    static let zero = Lifetime(seconds: 0)

    /// Nothing here lives longer than ten years; the bound keeps arithmetic far from overflow.
    private static let limitSeconds = 10 * 366 * 86400

    private init(seconds: Int) {
        self.seconds = seconds
    }

    init?(_ text: String) {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let last = text.last, let unit = units[last] else { return nil }
        let digits = text.dropLast()
        guard !digits.isEmpty, digits.allSatisfy({ ("0"..."9").contains($0) }), let count = Int(digits),
            count <= Self.limitSeconds / unit
        else { return nil }
        seconds = count * unit
    }
}
