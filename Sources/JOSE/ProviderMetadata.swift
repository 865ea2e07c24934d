// Metadata of an issuer (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2): who it is and where its keys are.
import Bytes
import JSON

package struct ProviderMetadata: Sendable, Equatable {
    package let issuer: String
    /// `jwks_uri`
    package let keys: String

    /// Nil for a document that is none: no JSON object, a member twice, or without one of the two.
    package init?(_ document: [UInt8]) {
        // Issuers list each algorithm, language and feature they know.
        var reader = JSONReader(depth: 16, members: 1024)
        do throws(JSONError) {
            var issuer: String?
            var keys: String?
            reader.begin()
            guard try reader.next(document.span).kind == .beginObject else { return nil }
            var event = try reader.next(document.span)
            while event.kind == .name {
                let name = event
                let value = try reader.next(document.span)
                if name.equals("issuer", in: document.span) {
                    issuer = value.kind == .string ? value.text(of: document.span) : nil
                } else if name.equals("jwks_uri", in: document.span) {
                    keys = value.kind == .string ? value.text(of: document.span) : nil
                }
                try reader.skip(value, document.span)
                event = try reader.next(document.span)
            }
            // Whatever follows the object is an error that only the last step finds.
            _ = try reader.next(document.span)
            guard let issuer, let keys else { return nil }
            self.issuer = issuer
            self.keys = keys
        } catch {
            return nil
        }
    }
}
