// Whom a request is from where a trusted proxy passed it on: said by each request, because a proxy's connection carries those of
// many clients. Requests of all others have nothing of this.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor

struct RequestSource: BitwiseCopyable {
    /// In place of the connection's.
    let address: ClientAddress
    let chain: ForwardedChain
}

extension Worker {
    /// Asked of every request of a peer that is believed. One that says nothing has nothing to remember.
    mutating func takeSource(of id: SlotID) {
        let client = exchanges[id].client
        let listener = Int(clients[client].listener)
        let trusted = snapshots[current].configuration.listeners[listener].trusted
        let chain = ForwardedChain(heads[exchanges[id].head], trusting: trusted)
        if chain.isEmpty { return }
        var address = clients[client].address
        if let named = chain.client { address = ClientAddress(.socket(named)) }
        exchanges[id].source = sources.insert(RequestSource(address: address, chain: chain)) ?? .none
    }

    /// The client's, as far as we know.
    @inline(__always) mutating func address(of id: SlotID) -> ClientAddress {
        let source = exchanges[id].source
        return source == .none ? clients[exchanges[id].client].address : sources[source].address
    }
    /// Whether the client speaks TLS, with us or with a proxy that says so.
    mutating func isSecure(_ id: SlotID) -> Bool {
        let source = exchanges[id].source
        if source != .none, let isSecure = sources[source].chain.isSecure { return isSecure }
        return clients[exchanges[id].client].isTLS
    }

    /// Appends what a request with a source says otherwise than one without. False: nothing, it says the same.
    mutating func writeSourced(_ kind: TemplateStep.Kind, of id: SlotID) -> Bool {
        let source = exchanges[id].source, head = exchanges[id].head
        switch kind {
        case .remoteAddress: added.append(sources[source].address.bytes)
        case .remotePort: added.append(decimal: UInt64(sources[source].address.port))
        case .forwardedFor:
            if sources[source].chain.client == nil { return false }
            appendChain(sources[source].chain, heads[head], behind: clients[exchanges[id].client], to: &added)
        case .forwardedProto:
            guard let isSecure = sources[source].chain.isSecure else { return false }
            added.append(isSecure ? "https" : "http")
        case .forwardedHost:
            if sources[source].chain.host.isEmpty { return false }
            appendHost(sources[source].chain, heads[head], to: &added)
        default: return false
        }
        return true
    }
}

/// The last of the chain is our peer, unless it has no address.
private func appendChain(
    _ chain: ForwardedChain, _ head: borrowing RequestHead, behind client: borrowing ServerConnection,
    to out: inout ByteBuffer
) {
    chain.append(from: head, to: &out)
    if client.address.address == nil { return }
    out.append(", ")
    out.append(client.address.bytes)
}
private func appendHost(_ chain: ForwardedChain, _ head: borrowing RequestHead, to out: inout ByteBuffer) {
    out.append(head.bytes.extracting(chain.host))
}
