// Which providers are asked for a location, as the request path reads it: plain numbers.
package import Bytes
package import Configuration

package struct AuthenticationPlan: BitwiseCopyable {
    package let mode: AuthenticationMode
    package let count: Int32
    /// Slots of the authenticator, as they were when the configuration was installed.
    private let first: SlotID
    private let others: InlineArray<7, SlotID>
    /// Signed tokens in the Authorization field and nothing else.
    package private(set) var isPlain = true
    /// The certificate of a client's connection may matter.
    package private(set) var wantsCertificate = false

    /// `auth off`.
    package init() {
        mode = .single
        count = 0
        first = .none
        others = InlineArray(repeating: .none)
    }

    /// At most `Access.maximumProviders`.
    package init(_ mode: Access.Mode, _ slots: [SlotID]) {
        self.mode = slots.count < 2 ? .single : mode == .any ? .any : .all
        count = Int32(slots.count)
        first = slots.first ?? .none
        var others = InlineArray<7, SlotID>(repeating: .none)
        for (i, slot) in slots.dropFirst().prefix(7).enumerated() { others[i] = slot }
        self.others = others
    }

    package mutating func note(_ provider: AuthProvider) {
        if provider.kind != .jwt || provider.places != [.bearer] { isPlain = false }
        if provider.kind == .clientCertificate || provider.boundTokens != .ignore { wantsCertificate = true }
    }

    package subscript(i: Int) -> SlotID { i == 0 ? first : others[i - 1] }

    func contains(_ slot: SlotID) -> Bool {
        for i in 0..<Int(count) where self[i] == slot { return true }
        return false
    }
}

package enum AuthenticationMode: UInt8, BitwiseCopyable, Sendable { case single, any, all }
