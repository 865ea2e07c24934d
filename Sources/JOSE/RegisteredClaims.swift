// Reads the claims of RFC 7519 section 4.1 out of a payload whose signature is good, and holds them against the rules.
import Bytes
import JSON

struct RegisteredClaims {
    private(set) var subject: JSONEvent?
    private(set) var permissions: JSONEvent?
    private(set) var confirmation: JSONEvent?
    /// Wall-clock seconds, leeway included.
    private(set) var goodFrom = Int64.min
    private(set) var goodUntil = Int64.max
    /// The whole second of `iat`.
    private(set) var issueSecond: Int64?

    /// The claims that mean something here.
    private enum Name {
        case issuer, audience, expires, notBefore, issuedAt, subject, permissions, confirmation, other

        init(_ name: JSONEvent, in payload: borrowing Span<UInt8>) {
            if name.isEscaped {
                self.init(escaped: name, in: payload)
            } else if name.range.count == 3 {
                let text = payload.extracting(name.range)
                self.init(text[0], text[1], text[2])
            } else {
                self = name.equals("permissions", in: payload) ? .permissions : .other
            }
        }

        private init(_ a: UInt8, _ b: UInt8, _ c: UInt8) {
            switch (a, b, c) {
            case (UInt8(ascii: "i"), UInt8(ascii: "s"), UInt8(ascii: "s")): self = .issuer
            case (UInt8(ascii: "a"), UInt8(ascii: "u"), UInt8(ascii: "d")): self = .audience
            case (UInt8(ascii: "e"), UInt8(ascii: "x"), UInt8(ascii: "p")): self = .expires
            case (UInt8(ascii: "n"), UInt8(ascii: "b"), UInt8(ascii: "f")): self = .notBefore
            case (UInt8(ascii: "i"), UInt8(ascii: "a"), UInt8(ascii: "t")): self = .issuedAt
            case (UInt8(ascii: "s"), UInt8(ascii: "u"), UInt8(ascii: "b")): self = .subject
            case (UInt8(ascii: "c"), UInt8(ascii: "n"), UInt8(ascii: "f")): self = .confirmation
            default: self = .other
            }
        }

        /// A name spelled with escapes means what it says.
        private init(escaped name: JSONEvent, in payload: borrowing Span<UInt8>) {
            if name.equals("iss", in: payload) {
                self = .issuer
            } else if name.equals("aud", in: payload) {
                self = .audience
            } else if name.equals("exp", in: payload) {
                self = .expires
            } else if name.equals("nbf", in: payload) {
                self = .notBefore
            } else if name.equals("iat", in: payload) {
                self = .issuedAt
            } else if name.equals("sub", in: payload) {
                self = .subject
            } else if name.equals("cnf", in: payload) {
                self = .confirmation
            } else {
                self = name.equals("permissions", in: payload) ? .permissions : .other
            }
        }
    }

    private var issuerMatches = false
    /// One bit for each of the rules' audiences that is there.
    private var audiences: UInt64 = 0
    private var expires: JSONEvent?
    private var notBefore: JSONEvent?
    private var issuedAt: JSONEvent?
    /// One bit for each of the rules' other required claims.
    private var found: UInt64 = 0

    init(
        _ payload: borrowing Span<UInt8>, _ rules: borrowing TokenRules, now: Int64, _ reader: inout JSONReader
    ) throws(TokenRefusal) {
        do throws(JSONError) {
            try read(payload, rules, &reader)
        } catch {
            throw TokenRefusal(error)
        }
        guard rules.issuer == nil || issuerMatches else { throw .issuerMismatch }
        guard rules.accepts(audiences: audiences) else { throw .audienceMismatch }
        try checkTimes(payload, rules, now)
        try checkRequired(rules)
    }

    private mutating func read(
        _ payload: borrowing Span<UInt8>, _ rules: borrowing TokenRules, _ reader: inout JSONReader
    ) throws(JSONError) {
        reader.begin()
        guard try reader.next(payload).kind == .beginObject else { throw .syntax }
        var event = try reader.next(payload)
        while event.kind == .name {
            let name = Name(event, in: payload)
            let value = try reader.next(payload)
            noteRequired(event, payload, rules)
            if name == .audience, value.kind == .beginArray {
                try readAudiences(payload, rules, &reader)
            } else {
                take(name, try reader.skip(value, payload), payload, rules)
            }
            event = try reader.next(payload)
        }
        _ = try reader.next(payload)
    }

    private mutating func take(
        _ name: Name, _ value: JSONEvent, _ payload: borrowing Span<UInt8>, _ rules: borrowing TokenRules
    ) {
        switch name {
        case .issuer: issuerMatches = value.kind == .string && rules.isIssuer(value, in: payload)
        case .audience: if value.kind == .string { audiences = rules.audienceBit(value, in: payload) }
        case .expires: expires = value
        case .notBefore: notBefore = value
        case .issuedAt: issuedAt = value
        case .subject: subject = value
        case .permissions: permissions = value
        case .confirmation: confirmation = value
        case .other: break
        }
    }

    /// RFC 7519 section 4.1.3: an array may hold several, one of which has to be us, or all that we are.
    private mutating func readAudiences(
        _ payload: borrowing Span<UInt8>, _ rules: borrowing TokenRules, _ reader: inout JSONReader
    ) throws(JSONError) {
        var value = try reader.next(payload)
        while value.kind != .endArray {
            if value.kind == .string { audiences |= rules.audienceBit(value, in: payload) }
            try reader.skip(value, payload)
            value = try reader.next(payload)
        }
    }

    private mutating func noteRequired(
        _ name: JSONEvent, _ payload: borrowing Span<UInt8>, _ rules: borrowing TokenRules
    ) {
        for i in 0..<rules.otherRequiredClaims.count {
            let required = rules.otherRequiredClaims[i]
            if name.equals(required.span, in: payload) { found |= 1 << UInt64(i) }
        }
    }

    private mutating func checkTimes(
        _ payload: borrowing Span<UInt8>, _ rules: borrowing TokenRules, _ now: Int64
    ) throws(TokenRefusal) {
        let expires = try Self.date(self.expires, payload)
        let notBefore = try Self.date(self.notBefore, payload)
        let issuedAt = try Self.date(self.issuedAt, payload)
        if let event = self.issuedAt { issueSecond = NumericDate.wholeSeconds(event, in: payload) }
        if let expires {
            guard now < expires + rules.leeway else { throw .expired }
            goodUntil = expires + rules.leeway
        } else if rules.requiresExpiry {
            throw .claimMissing
        }
        // A token from the future is one whose issuer's clock, or whose issuer, is not to be trusted.
        let start = max(notBefore ?? .min, issuedAt ?? .min)
        if start > .min {
            guard now >= start - rules.leeway else { throw .notYetValid }
            goodFrom = start - rules.leeway
        }
        if let maximum = rules.maximumLifetime {
            // Without `exp` a token lives for ever, which is longer than any limit.
            guard let expires, expires - (issuedAt ?? now) <= maximum else { throw .lifetimeExceeded }
        }
    }

    /// Nil when there is no such claim.
    private static func date(_ value: JSONEvent?, _ payload: borrowing Span<UInt8>) throws(TokenRefusal) -> Int64? {
        guard let value else { return nil }
        guard value.kind == .number, let seconds = NumericDate.seconds(value, in: payload) else { throw .claimType }
        return seconds
    }

    private mutating func checkRequired(_ rules: borrowing TokenRules) throws(TokenRefusal) {
        if let value = subject, value.kind != .string { throw .claimType }
        if subject?.range.isEmpty ?? false { subject = nil }
        if subject == nil && rules.requiresSubject { throw .claimMissing }
        let count = rules.otherRequiredClaims.count
        guard count == 0 || found == UInt64.max >> UInt64(64 - count) else { throw .claimMissing }
    }
}
