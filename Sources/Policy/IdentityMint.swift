// Makes the signed token by which an upstream knows who is asking (`identity_token`).
package import Bytes
package import Configuration
import JOSE
import JSON

/// One `identity_token` block as one worker uses it. A class, because locations and snapshots share it; it is only touched when
/// a token is sent.
package final class IdentityMint {
    /// Names it as long as the process lives.
    let number: UInt64
    /// The field's name, its colon and a blank.
    package let fieldStart: [UInt8]
    private let key: SigningKey
    private let issuer: [UInt8]
    private let audience: [UInt8]
    private let seconds: Int64

    /// Nil when the key cannot be used, which was looked at when the configuration was read.
    package init?(_ rules: IdentityTokenRules, number: UInt64) {
        do throws(JOSEError) {
            key = try SigningKey.read(pem: rules.key, type: IdentityTokenRules.type)
        } catch {
            return nil
        }
        self.number = number
        fieldStart = Array("\(rules.header): ".utf8)
        issuer = Array(rules.issuer.utf8)
        audience = Array(rules.audience.utf8)
        seconds = rules.ttl.components.seconds
    }

    /// Appends a token about somebody, whose subject and permissions come as fields say them. It is no longer good than
    /// `goodUntil`, when the credential behind it ends.
    /// - Returns: until when it may be sent again; nil when it could not be made.
    package func appendToken(
        subject: borrowing Span<UInt8>, permissions: borrowing Span<UInt8>, provider: borrowing Span<UInt8>,
        now: Int64, goodUntil: Int64, to out: inout ByteBuffer
    ) -> Int64? {
        let expires = min(now + seconds, goodUntil)
        let issuer = issuer, audience = audience
        // Texts on their way out of the form of a field.
        var text = ByteBuffer(capacity: 256)
        var writer = JSONWriter(capacity: 512)
        writer.beginObject()
        writer.name("iss")
        writer.string(issuer.span)
        writer.name("aud")
        writer.string(audience.span)
        if !subject.isEmpty {
            writer.name("sub")
            Self.append(subject, by: &text, to: &writer)
        }
        writer.name("permissions")
        writer.beginArray()
        var at = 0
        while at < permissions.count {
            let end = permissions.first(IdentityEncoding.separator, from: at, to: permissions.count)
            Self.append(permissions.extracting(at..<end), by: &text, to: &writer)
            at = end + 1
        }
        writer.endArray()
        writer.name("provider")
        writer.string(provider)
        writer.name("iat")
        writer.integer(now)
        writer.name("exp")
        writer.integer(expires)
        writer.endObject()
        guard key.appendToken(writer.buffer.bytes, to: &out) else { return nil }
        return now + (expires - now) / 2
    }

    private static func append(
        _ encoded: borrowing Span<UInt8>, by text: inout ByteBuffer, to writer: inout JSONWriter
    ) {
        text.clear()
        IdentityEncoding.appendDecoded(encoded, to: &text)
        writer.string(text.bytes)
    }
}
