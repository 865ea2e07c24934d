// One listening address with its routes, as a service that can be run and shut down.
import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

struct Listener: Service {
    /// The gateway keeps idle connections for up to a minute: ours must not close first under a request.
    private static let idleTimeoutSeconds: Int64 = 120

    private let name: String
    private let address: ListenAddress
    private let application: any Service

    init<Call: RequestContext>(
        _ name: String, on address: ListenAddress, router: Router<Call>, logger: Logger
    )
    where Call.Source == ApplicationRequestContextSource {
        var logger = logger
        logger[metadataKey: "listener"] = "\(name)"
        self.name = name
        self.address = address
        application = Application(
            router: router,
            server: .http1(configuration: .init(idleTimeout: .seconds(Self.idleTimeoutSeconds))),
            configuration: ApplicationConfiguration(address: .hostname(address.host, port: address.port)),
            logger: logger)
    }

    func run() async throws {
        do {
            try await withTaskExecutorPreference(EventLoopExecutor.shared) { try await application.run() }
        } catch let error as IOError {
            if error.errnoCode == EADDRINUSE {
                throw StartupFailure("\(address) is taken: another program listens where the \(name) service should")
            }
            throw StartupFailure("the \(name) service cannot listen on \(address): \(error)")
        }
    }
}
