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

/// What a refusal tells the client: nothing but the status, the machine code, or the code with the reason in words.
package enum ErrorDetail: Sendable, Equatable {
    case none, code, full
}
