// Why Redis did not do what it was asked to, in words without secrets.

enum RedisFailure: Error, CustomStringConvertible {
    /// Nobody could be asked, or no answer came: a command that was sent may have been carried out all the same.
    case unreachable(String)
    /// The server's own words.
    case refused(String)
    /// So many commands wait for their answers that another one would only wait longer.
    case busy
    /// An answer of another shape than the command has.
    case unexpectedReply

    var description: String {
        switch self {
        case .unreachable(let reason): reason
        case .refused(let words): "refused: \(words.prefix(200))"
        case .busy: "too many commands wait"
        case .unexpectedReply: "an answer of another shape"
        }
    }
}
