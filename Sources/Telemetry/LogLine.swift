// A line of the error log: nginx's shape and levels, no credential, no second line smuggled in.
import Bytes

/// nginx's levels, the most urgent first; numbers as in syslog (RFC 5424 section 6.2.1).
package enum LogSeverity: Int, Sendable, CaseIterable, Comparable {
    case emergency, alert, critical, error, warning, notice, info, debug

    package static func < (a: LogSeverity, b: LogSeverity) -> Bool { a.rawValue < b.rawValue }

    /// The word between the brackets.
    package var name: StaticString {
        switch self {
        case .emergency: "emerg"
        case .alert: "alert"
        case .critical: "crit"
        case .error: "error"
        case .warning: "warn"
        case .notice: "notice"
        case .info: "info"
        case .debug: "debug"
        }
    }
}

/// Written piece by piece, then handed over whole: `2026/11/21 09:30:00 [notice] message`.
package struct LogLine: ~Copyable {
    private var text = ByteBuffer(capacity: 256)

    package init(_ severity: LogSeverity, wallSeconds: Int64) {
        CivilTime(wallSeconds: wallSeconds).appendLogTime(to: &text)
        text.append(" [")
        text.append(severity.name)
        text.append("] ")
    }

    /// A whole line.
    package static func make(_ severity: LogSeverity, wallSeconds: Int64, _ message: String) -> [UInt8] {
        var line = LogLine(severity, wallSeconds: wallSeconds)
        line.append(message)
        return line.finish()
    }

    /// Words; they may hold what others wrote: escaped and redacted.
    package mutating func append(_ message: String) {
        var message = message
        message.makeContiguousUTF8()
        append(message.utf8Span.span)
    }
    /// What others wrote: escaped and redacted.
    package mutating func append(_ bytes: Span<UInt8>) { Redaction.append(bytes, .message, to: &text) }
    /// A request target: escaped, its secret arguments masked.
    package mutating func append(target bytes: Span<UInt8>) { Redaction.appendTarget(bytes, .message, to: &text) }
    package mutating func append(_ number: some BinaryInteger) {
        if number < 0 { text.append("-") }
        text.append(decimal: UInt64(clamping: number.magnitude))
    }
    /// How many lines of this kind the limit held back before this one.
    package mutating func append(suppressed lines: UInt64) {
        guard lines > 0 else { return }
        text.append(" (")
        text.append(decimal: lines)
        text.append(" more like this were not written)")
    }
    /// The line with its line feed.
    package consuming func finish() -> [UInt8] {
        text.append("\n")
        var line: [UInt8] = []
        line.reserveCapacity(text.count)
        for i in 0..<text.count { line.append(text.bytes[i]) }
        return line
    }
}
