// Logs, and how much a refusal tells.

/// `error_log PATH LEVEL`
package struct ErrorLog: Sendable, Equatable {
    package var target = LogTarget.standardError
    package var level = LogLevel.notice

    package init() {}
}

package enum LogTarget: Sendable, Equatable, Hashable {
    case standardError
    case standardOutput
    case file(String)
}

/// nginx's levels, the most urgent first.
package enum LogLevel: Int, Sendable, Comparable, CaseIterable {
    case emergency, alert, critical, error, warning, notice, info, debug

    package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}

/// `access_log PATH [FORMAT]`
package struct AccessLog: Sendable, Equatable {
    package var target: LogTarget
    package var format: LogFormat
    /// The name by which the format was called.
    package var formatName = "main"

    package init(target: LogTarget, format: LogFormat) {
        self.target = target
        self.format = format
    }
}

/// `log_format NAME …`, or the built-in formats `main` and `json`.
package enum LogFormat: Sendable, Equatable {
    case text(Template)
    /// Every field.
    case json
}

/// `log_format NAME TEXT…`
package struct NamedFormat: Sendable, Equatable {
    package var name: String
    package var template: Template

    /// The format of an `access_log` that names none.
    package static let main = NamedFormat(
        name: "main",
        template: Template([
            .variable(.remoteAddress), .text(Array(" \"".utf8)), .variable(.request), .text(Array("\" ".utf8)),
            .variable(.status), .text([0x20]), .variable(.bodyBytesSent), .text([0x20]), .variable(.requestTime),
            .text([0x20]), .variable(.upstreamResponseTime), .text([0x20]), .variable(.authSubject), .text([0x20]),
            .variable(.authResult),
        ]))
}

/// What a refusal tells the client: nothing but the status, the machine code, or the code with the reason in words.
package enum ErrorDetail: Sendable, Equatable {
    case none, code, full
}

/// Metrics and health for operators, on an address of their own.
package struct AdminEndpoint: Sendable, Equatable {
    package var address: ListenAddress
    package var position: SourcePosition

    package init(address: ListenAddress, position: SourcePosition) {
        self.address = address
        self.position = position
    }
}
