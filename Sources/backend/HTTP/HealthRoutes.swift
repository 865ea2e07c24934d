// /healthz says that the process lives, /readyz that it can do its work.
import Hummingbird

struct HealthRoutes: Sendable {
    private struct Answer: Encodable { let status: String }

    let database: Database
    /// Nil where no session is looked at.
    var sessions: (any SessionStore)?

    func add(to router: some RouterMethods) {
        router.get("/healthz") { _, _ in try Response.json(Answer(status: "ok")) }
        router.get("/readyz") { _, _ in
            try await database.ping()
            try await sessions?.ping()
            return try Response.json(Answer(status: "ready"))
        }
    }
}
