// How refresh tokens are spelled for those who hold them: as the secret that they are, or in a JWT that says whose they are and
// until when. The store knows the secret alone.
import Foundation
import Logging
import ServiceLifecycle

struct RefreshTokenFormat: Sendable {
    /// The setting `refresh_token_format`.
    enum Name: String, Sendable { case opaque, jwt }

    /// Another type, another key and another audience than those of access tokens: neither is taken for the other
    /// (RFC 8725 §3.11, §3.12).
    private static let type = "rt+jwt"

    let name: Name
    private let issuer: String
    /// They sign and verify JWTs; without any, none was ever handed out. Nobody else needs them, so they are secrets.
    private let keys: KeyService
    private let verifier: TokenVerifier

    /// Reads the secrets; throws when they will not do.
    init(_ settings: Settings) async throws(StartupFailure) {
        name = settings.refreshTokenFormat
        issuer = settings.issuer
        keys = KeyService(try await Self.ring(settings))
        verifier = TokenVerifier(keys: keys, issuer: issuer, audience: issuer, type: Self.type)
    }

    /// What keeps the secrets current; nil without any.
    func follower(_ settings: Settings, logger: Logger) throws(StartupFailure) -> FileFollower? {
        let paths = settings.refreshTokenSecrets
        guard !paths.isEmpty else { return nil }
        return FileFollower(
            paths: paths, subject: "the secrets of refresh tokens", contents: try FileFollower.contents(of: paths),
            logger: logger
        ) { [keys] _ throws(StartupFailure) in
            keys.replace(with: try await Self.ring(settings))
        }
    }

    /// What its client gets. The same for a token that is given out again: two tabs need not notice each other.
    func text(of grant: SessionGrant) throws -> String {
        guard name == .jwt else { return grant.refreshToken.text }
        var members = JSONWriter(capacity: 512)
        members.member("iss", issuer)
        members.member("sub", grant.session.user)
        members.member("aud", issuer)
        members.member("exp", Int(grant.refreshExpiresMilliseconds / 1000))
        members.member("iat", Int(grant.refreshIssuedMilliseconds / 1000))
        members.member("jti", grant.refreshToken.text)
        members.member("sid", grant.session.id)
        members.member("client_id", grant.session.clientID)
        return try keys.sign(members.finish())
    }

    /// A token as a client presents it. Either spelling is good whatever is handed out now: sessions live on when that is changed.
    /// Throws `refresh_expired` for a JWT whose time is over, `refresh_invalid` for what is none of ours.
    func token(presented text: String) throws(Problem) -> RefreshToken {
        var secret: String? = text
        if text.utf8.contains(UInt8(ascii: ".")) {
            do throws(TokenRefusal) {
                secret = try verifier.verifyOnce(text, now: .now).tokenID
            } catch {
                throw error == .expired ? .refreshExpired : .refreshInvalid
            }
        }
        guard let token = secret.flatMap(RefreshToken.init(presented:)) else { throw .refreshInvalid }
        return token
    }

    private static func ring(_ settings: Settings) async throws(StartupFailure) -> KeyRing {
        let paths = settings.refreshTokenSecrets
        guard settings.refreshTokenFormat == .opaque || !paths.isEmpty else {
            throw StartupFailure(
                "refresh_token_format jwt needs refresh_token_secrets, a file with a secret: make it with "
                    + "`openssl rand -hex 32`")
        }
        let others = try FileFollower.contents(of: settings.hs256Secrets)
        for path in paths where others.contains(try FileReading.bytes(of: path)) {
            throw StartupFailure("\(path): the secret of refresh tokens must not sign access tokens, too")
        }
        return try await KeyRing(secrets: paths, type: Self.type)
    }
}
