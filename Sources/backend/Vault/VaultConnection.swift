// One request to the vault and its answer, over a connection of its own: HTTP/1.1, bounded in size and time.
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

struct VaultConnection: Sendable {
    struct Request: Sendable {
        var method = HTTPMethod.GET
        /// What follows the address, as in `/v1/secret/data/x`.
        let path: String
        var fields: [(name: String, value: String)] = []
        var body: [UInt8]?
    }

    struct Answer: Sendable {
        let status: Int
        let body: [UInt8]
    }

    /// A secret with two keys has a few thousand bytes.
    private static let sizeLimitBytes = 1 << 20

    private let address: VaultAddress
    private let tls: NIOSSLContext?
    private let timeout: Lifetime

    /// `authorities` is a PEM file of whom to trust instead of the authorities that this system knows.
    init(to address: VaultAddress, authorities: String?, timeout: Lifetime) throws(StartupFailure) {
        self.address = address
        self.timeout = timeout
        tls = address.isSecure ? try Self.trust(authorities) : nil
    }

    func answer(to request: Request) async throws(VaultFailure) -> Answer {
        do {
            return try await withThrowingTaskGroup(of: Answer.self) { group in
                defer { group.cancelAll() }
                group.addTask { try await exchange(request) }
                group.addTask {
                    try await Task.sleep(for: .seconds(timeout.seconds))
                    throw VaultFailure.timeout(seconds: timeout.seconds)
                }
                guard let first = try await group.next() else { throw VaultFailure.timeout(seconds: timeout.seconds) }
                return first
            }
        } catch let failure as VaultFailure {
            throw failure
        } catch {
            throw failure(error)
        }
    }

    private func exchange(_ request: Request) async throws -> Answer {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(Int64(timeout.seconds)))
            .connect(host: address.host, port: address.port) { channel in
                channel.eventLoop.makeCompletedFuture { try prepare(channel) }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(contentsOf: parts(of: request))
            for try await answer in inbound {
                let body = answer.body.map { [UInt8]($0.readableBytesView) } ?? []
                return Answer(status: Int(answer.head.status.code), body: body)
            }
            throw VaultFailure.unreachable("\(address) closed the connection without an answer")
        }
    }

    private func prepare(
        _ channel: any Channel
    ) throws -> NIOAsyncChannel<NIOHTTPClientResponseFull, HTTPClientRequestPart> {
        let pipeline = channel.pipeline.syncOperations
        if let tls {
            // A name is asked for and compared with the certificate; an address is compared without being asked for.
            let name = (try? SocketAddress(ipAddress: address.host, port: address.port)) == nil ? address.host : nil
            try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: name))
        }
        try pipeline.addHTTPClientHandlers()
        try pipeline.addHandler(NIOHTTPClientResponseAggregator(maxContentLength: Self.sizeLimitBytes))
        return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
    }

    private func parts(of request: Request) -> [HTTPClientRequestPart] {
        var fields = HTTPHeaders([("Host", address.authority), ("Connection", "close"), ("Accept", "application/json")])
        for (name, value) in request.fields { fields.add(name: name, value: value) }
        if let body = request.body {
            fields.add(name: "Content-Type", value: "application/json")
            fields.add(name: "Content-Length", value: "\(body.count)")
        }
        let head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.path, headers: fields)
        let body = request.body.map { [HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: $0)))] } ?? []
        return [.head(head)] + body + [.end(nil)]
    }

    private func failure(_ error: any Error) -> VaultFailure {
        switch error {
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: .tls("\(address): \(error)")
        case is ChannelError where "\(error)".contains("connectTimeout"): .timeout(seconds: timeout.seconds)
        case is HTTPParserError, is NIOHTTPObjectAggregatorError: .unusable("the answer of \(address): \(error)")
        case let error as NIOConnectionError:
            .unreachable(
                "\(address): "
                    + (error.connectionErrors.first.map { "\($0.error)" } ?? "there is no host of that name"))
        default: .unreachable("\(address): \(error)")
        }
    }

    private static func trust(_ authorities: String?) throws(StartupFailure) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        // A vault that hangs shall not hang us a second time as we hang up.
        configuration.shutdownTimeout = .milliseconds(500)
        do {
            if let authorities {
                let certificates = try NIOSSLCertificate.fromPEMFile(authorities)
                guard !certificates.isEmpty else { throw NIOSSLError.failedToLoadCertificate }
                configuration.trustRoots = .certificates(certificates)
            }
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw StartupFailure("\(authorities ?? "TLS"): the certificates cannot be read: \(error)")
        }
    }
}
