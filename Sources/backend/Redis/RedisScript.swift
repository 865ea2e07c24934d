// A script that the server runs in one piece: nobody sees half of what it does. Sent once, then named by its digest.
import Crypto
import Foundation

struct RedisScript: Sendable {
    let source: String
    fileprivate let digest: String

    init(_ source: String) {
        self.source = source
        // The server's name for it; nothing depends on nobody finding another text with it.
        digest = Insecure.SHA1.hash(data: Data(source.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}

extension RedisClient {
    /// Runs a script with its arguments. It names its keys itself: one server holds them all.
    func run(_ script: RedisScript, _ arguments: [RedisCommand.Word]) async throws -> RedisReply {
        do {
            return try await send(["EVALSHA", .text(script.digest), "0"] + arguments)
        } catch RedisFailure.refused(let words) where words.hasPrefix("NOSCRIPT") {
            // A server that was restarted has forgotten it.
            return try await send(["EVAL", .text(script.source), "0"] + arguments)
        }
    }
}
