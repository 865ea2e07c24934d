// Seconds as people read them: dates of RFC 3339, and how long something is.
import Bytes

enum ExplainedTime {
    /// `2026-11-21T09:30:00Z`; the bare number for what no calendar of four digits has.
    static func date(_ seconds: Int64) -> String {
        guard (0...253_402_300_799).contains(seconds) else { return "\(seconds)" }
        var text = ByteBuffer(capacity: 32)
        CivilTime(wallSeconds: seconds).appendISO8601(to: &text)
        let day = text.prefix(19)
        return String(decoding: day.indices.map { day[$0] }, as: UTF8.self) + "Z"
    }

    /// `3 h 12 min`: the two largest units.
    static func length(_ seconds: Int64) -> String {
        let all = seconds.magnitude
        let units: [(UInt64, String)] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")]
        guard let first = units.firstIndex(where: { all >= $0.0 }) else { return "0 s" }
        let whole = "\(all / units[first].0) \(units[first].1)"
        guard first + 1 < units.count else { return whole }
        let rest = all % units[first].0 / units[first + 1].0
        return rest == 0 ? whole : whole + " \(rest) \(units[first + 1].1)"
    }

    /// `2026-11-21T09:30:00Z, 3 h 12 min ago`
    static func relative(_ seconds: Int64, to now: Int64) -> String {
        let distance = seconds.subtractingReportingOverflow(now).partialValue
        if distance == 0 { return "\(date(seconds)), now" }
        return "\(date(seconds)), " + (distance < 0 ? "\(length(distance)) ago" : "in \(length(distance))")
    }
}
