// Asking another service about a credential: what is asked, and what may come back. Values that travel between threads.
package import Configuration
package import JOSE
import JSON

/// What a credential's answer is found by: the provider that asks, and SHA-256 of what is asked about.
package struct LookupKey: Sendable, Hashable {
    package let provider: String
    package let digest: SHA256Value
    /// Of a question that nobody shares, a number of its own; otherwise 0.
    package var serial: UInt64 = 0

    package init(provider: String, digest: SHA256Value) {
        self.provider = provider
        self.digest = digest
    }
}

/// One question for a service.
package struct LookupRequest: Sendable {
    package var key: LookupKey
    package let target: LookupTarget
    /// A whole HTTP/1.1 request, as it is sent. Holds the credential: never logged.
    package let bytes: [UInt8]
    /// Whoever asks the same a moment later gets the same answer.
    package let isShared: Bool
    /// What was answered a moment ago is too old.
    package var isAnew = false
    /// Which worker asks.
    package var worker = 0

    package init(key: LookupKey, target: LookupTarget, bytes: [UInt8], isShared: Bool) {
        self.key = key
        self.target = target
        self.bytes = bytes
        self.isShared = isShared
    }
}

package enum LookupResult: Sendable, Equatable {
    case answered(LookupAnswer)
    case failed(LookupFailure)
}

/// What a service said.
package struct LookupAnswer: Sendable, Equatable {
    package var status: Int
    /// Values of the fields that the target names, in that order; nil: there was none.
    package var fields: [[UInt8]?] = []
    package var body: [UInt8] = []
    /// When it came, in seconds since 1970: what is kept of it is as old as that.
    package var wallSeconds: Int64 = 0

    package init(status: Int) { self.status = status }

    /// Whether it says anything about the credential. Everything else is a failure of the service.
    package func isUsable(_ kind: LookupTarget.Kind) -> Bool {
        switch kind {
        case .request: return (200..<300).contains(status) || status == 401 || status == 403
        case .introspection: return status == 200 && saysActive
        }
    }
    /// RFC 7662 section 2.2: an object with a boolean `active`.
    private var saysActive: Bool { active != nil }
    /// The credential is good, says the service.
    package var isActive: Bool { active == true }
    private var active: Bool? {
        var reader = JSONReader()
        let document = body.span
        var active: Bool?
        do throws(JSONError) {
            reader.begin()
            guard try reader.next(document).kind == .beginObject else { return nil }
            var event = try reader.next(document)
            while event.kind == .name {
                let isActive = event.equals("active", in: document)
                let value = try reader.next(document)
                if isActive, value.kind == .yes || value.kind == .no { active = value.kind == .yes }
                try reader.skip(value, document)
                event = try reader.next(document)
            }
            _ = try reader.next(document)
        } catch {
            return nil
        }
        return active
    }
}

/// Why nothing is known.
package enum LookupFailure: Sendable, Equatable {
    case unreachable
    case timedOut
    /// What came back says nothing.
    case invalid
    /// Too many questions wait already.
    case overloaded
    /// The service failed too often lately, and is asked again in so many seconds.
    case resting(seconds: Int)
}
