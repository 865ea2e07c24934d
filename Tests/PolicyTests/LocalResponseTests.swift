// The table of answers: codes, statuses, challenges.
import HTTP
import Policy
import Testing

struct LocalResponseTests {
    private static let words = LocalResponse.allCases.map { "\($0.code)" }

    @Test func `every code is a lower-case word of its own`() {
        #expect(Set(Self.words).count == Self.words.count)
        for word in Self.words { #expect(word.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" }, "\(word)") }
    }

    @Test(arguments: LocalResponse.allCases)
    func `texts are fixed and need no escape`(response: LocalResponse) {
        let detail = "\(response.detail)"
        // Neither JSON, nor HTML, nor a quoted string, nor a message of gRPC would have to write one of these otherwise.
        #expect(!detail.isEmpty && detail.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f && !"\"\\<>&%".utf8.contains($0) })
        #expect("\(response.title)" != "Status")
        #expect((400...599).contains(response.status))
    }

    @Test(arguments: LocalResponse.allCases)
    func `a 401 always carries a challenge, a 503 never, and says when to come back`(response: LocalResponse) {
        switch response.status {
        // A service that refuses says itself how it wants to be asked.
        case 401 where response == .authServiceRefused: #expect(response.challenge == .none)
        case 401: #expect(response.challenge == .bare || response.challenge == .invalidToken)
        // More scope is no remedy for anything but a lack of it (RFC 6750 section 3.1).
        case 403: #expect(response.challenge == (response == .insufficientScope ? .insufficientScope : .none))
        case 503: #expect(response.challenge == .none && response.retryAfterSeconds > 0)
        default: #expect(response.challenge == .none || response == .invalidRequest)
        }
    }

    @Test(arguments: [
        LocalResponse.tokenMissing, .tokenExpired, .insufficientScope, .pathInvalid, .pathAmbiguous, .notFound,
        .methodNotAllowed, .invalidRequest, .keysUnavailable,
    ])
    func `refusals of understood requests keep the connection`(response: LocalResponse) {
        #expect(!response.closesConnection)
    }

    @Test(arguments: MessageError.allCases)
    func `a message error answers with its own status and code, and closes`(error: MessageError) {
        let response = LocalResponse(error)
        #expect(response.status == error.status)
        #expect("\(response.code)" == "\(error.code)")
        #expect(response.closesConnection)
    }

    @Test(arguments: [
        ("token_missing", 401), ("token_too_large", 401), ("token_malformed", 401),
        ("token_encrypted_unsupported", 401),
        ("signature_missing", 401), ("duplicate_claim", 401), ("unsupported_header", 401), ("unsupported_crit", 401),
        ("alg_not_allowed", 401), ("alg_key_mismatch", 401), ("signature_invalid", 401), ("key_unknown", 401),
        ("typ_not_allowed", 401), ("token_expired", 401), ("token_not_yet_valid", 401), ("claim_missing", 401),
        ("claim_type", 401), ("lifetime_exceeded", 401), ("issuer_mismatch", 401), ("audience_mismatch", 401),
        ("provider_mismatch", 401), ("invalid_request", 400), ("insufficient_scope", 403), ("origin_denied", 403),
        ("keys_unavailable", 503),
        ("path_invalid", 400), ("path_ambiguous", 400), ("not_found", 404), ("method_not_allowed", 405),
        ("misdirected_request", 421),
        ("request_timeout", 408), ("body_too_large", 413), ("upstream_unavailable", 502), ("upstream_invalid", 502),
        ("upstream_closed", 502), ("upstream_timeout", 504), ("no_live_upstream", 502), ("overloaded", 503),
        ("internal_error", 500), ("request_line", 400), ("version_unsupported", 505), ("method_unsupported", 501),
        ("uri_too_long", 414), ("target_invalid", 400), ("host_invalid", 400), ("header_invalid", 400),
        ("header_too_large", 431), ("content_length", 400), ("transfer_encoding", 400),
        ("transfer_encoding_unsupported", 501), ("cl_and_te", 400), ("chunk_invalid", 400), ("expectation_failed", 417),
    ])
    func `clients may rely on a code and its status`(code: String, status: Int) {
        #expect(LocalResponse.allCases.first { "\($0.code)" == code }?.status == status)
    }
}
