// A request of the auth service, with the address of the peer that sent it.
import Hummingbird
import NIOCore

struct AuthCall: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The other end of the connection: the client itself, or the gateway.
    let peerAddress: String?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peerAddress = source.channel.remoteAddress?.ipAddress
    }
}
