// Why the backend cannot start, as one sentence for the person who started it.

struct StartupFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }

    /// A fault in a file, in the `file:line:column: what` form that editors understand.
    init(file: String, _ fault: JSONFault) {
        description = "\(file):\(fault.position.line):\(fault.position.column): \(fault.message)"
    }
}
