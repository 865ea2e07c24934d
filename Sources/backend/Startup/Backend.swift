// Puts the parts together and runs them until a signal ends the process.
import Foundation
import Hummingbird
import Logging
import ServiceLifecycle
import UnixSignals

struct Backend {
    /// A client that keeps an answer from ending must not keep the process from ending.
    private static let shutdownSeconds = 10

    private let settings: Settings
    private let logger: Logger
    private let metrics = MetricRegistry()
    private let audit: AuditLog

    init(_ settings: Settings) {
        self.settings = settings
        LoggingSystem.bootstrap { LogLines(label: $0) }
        var logger = Logger(label: "backend")
        logger.logLevel = settings.logLevel
        self.logger = logger
        audit = AuditLog(logger: logger, metrics: metrics)
    }

    func run() async throws {
        let database = try Database(path: settings.database)
        let hashing = try settings.passwordPeppers.hashing()
        let (keys, keyFollowers) = try await KeySource(
            settings: settings, hashing: hashing, database: database, metrics: metrics, audit: audit, logger: logger
        ).open()
        let format = try await RefreshTokenFormat(settings)
        let verifier = TokenVerifier(keys: keys, issuer: settings.issuer, audience: settings.audience)
        let gatewayKeys =
            settings.gatewayKeys.isEmpty ? nil : try await GatewayKeys(paths: settings.gatewayKeys)
        let gateway = gatewayKeys.map { keys in
            GatewayIdentity(keys: keys, issuer: settings.gatewayIssuer, audience: settings.gatewayAudience)
        }
        let revocations = RevocationStore(
            database: database, issuer: settings.issuer, accessTokenLifetime: settings.accessTokenLifetime,
            isElsewhere: settings.redis != nil)
        let storage = try SessionStorage(
            settings, database: database, revocations: revocations, logger: logger, metrics: metrics)
        let accounts = AccountFiles(
            secrets: settings.secrets, permissions: settings.permissions, hashing: hashing, logger: logger)
        let importing: AccountFiles.Importing = { found throws(StartupFailure) in
            try found.run(in: database, revocations: revocations, nowMilliseconds: Date.now.milliseconds)
        }
        let reload = AccountReload(files: accounts, importing: importing, sessions: storage.store, logger: logger)
        try accounts.importing(importing)
        let feed = RevocationFeed(store: storage.store, database: database, logger: logger)
        var services: [any Service] = [
            reload,
            ExpirySweep(store: storage.store, logger: logger),
            authListener(
                keys: keys, format: format, hashing: hashing, verifier: verifier, revocations: revocations,
                store: storage.store,
                feed: feed,
                administration: AccountAdministration(
                    files: accounts, importing: importing, sessions: storage.store)),
            resourceListener(verifier: verifier, gateway: gateway, database: database, store: storage.store),
            // Shut down before the auth listener, which waits for the answers that are held back here: in reverse order.
            feed,
        ]
        services += storage.services
        if let follower = try format.follower(settings, logger: logger) { services.append(follower) }
        if let gatewayKeys { services.append(gatewayKeys.follower(logger: logger)) }
        try await serve(services + keyFollowers)
        await storage.close()
        try database.close()
        logger.info("stopped")
    }

    private func authListener(
        keys: KeyService, format: RefreshTokenFormat, hashing: PasswordHashing, verifier: TokenVerifier,
        revocations: RevocationStore, store: any SessionStore, feed: RevocationFeed,
        administration: AccountAdministration
    ) -> Listener {
        let database = revocations.database
        let tokens = TokenService(
            keys: keys, issuer: settings.issuer, audience: settings.audience, lifetime: settings.accessTokenLifetime)
        let hasher = PasswordHasher(hashing)
        metrics.gauge("backend_password_hashes_waiting", "Logins that wait for a hashing thread.") {
            Double(hasher.waiting)
        }
        let limits = LoginLimits(
            rate: AddressRate(perSecond: settings.loginRate), limiter: LoginLimiter(store: store),
            audit: audit, metrics: metrics)
        let callers = CallerVerifier(verifier: verifier, sessions: store)
        let service = AuthService(
            users: UserTable(database: database), hasher: hasher, tokens: tokens, format: format, sessions: store,
            callers: callers, clientID: settings.clientID, audit: audit)
        let router = Router(context: AuthCall.self, options: .autoGenerateHeadEndpoints).add(
            middleware: ProblemMiddleware())
        HealthRoutes(database: database, sessions: store).add(to: router)
        MetricRoutes(metrics: metrics).add(to: router)
        let authentication = ClientAuthentication(clients: ClientTable(database: database), audit: audit)
        AuthRouter(
            service: service, authentication: authentication, limits: limits, client: settings.trustedProxies,
            origins: OriginGuard(publicOrigin: settings.publicOrigin, audit: audit),
            cookieMaxAge: settings.refreshTokenIdle
        ).add(to: router)
        let metadata = settings.publicOrigin.map { ServerMetadata(issuer: settings.issuer, origin: $0) }
        MetadataRoutes(keys: keys, metadata: metadata, keySetMaxAge: settings.keySetMaxAge).add(to: router)
        addProgramRoutes(
            to: router, service: service, authentication: authentication, revocations: revocations, feed: feed)
        AdminRouter(
            access: AdminAccess(callers: callers, client: settings.trustedProxies, audit: audit),
            administration: administration, revocations: revocations, hasher: hasher, store: store
        ).add(to: router)
        WebAppRoutes(origin: settings.publicOrigin, client: settings.trustedProxies).add(to: router)
        return Listener("auth", on: settings.authListen, router: router, logger: logger)
    }

    /// What programs use: API keys, the endpoints of OAuth and the feed of revocations.
    private func addProgramRoutes(
        to router: Router<AuthCall>, service: AuthService, authentication: ClientAuthentication,
        revocations: RevocationStore, feed: RevocationFeed
    ) {
        let database = revocations.database
        metrics.gauge("backend_revocation_listeners", "Gateways that wait for the next revocation.") {
            Double(feed.waiting)
        }
        RevocationRouter(authentication: authentication, feed: feed).add(to: router)
        let callers = service.callers
        let apiKeys = APIKeyService(
            keys: APIKeyTable(database: database, revocations: revocations),
            users: service.users, sessions: service.sessions, audit: service.audit)
        APIKeyRouter(service: apiKeys, callers: callers).add(to: router)
        OAuthRouter(
            authentication: authentication,
            introspection: Introspection(
                callers: callers, format: service.format, sessions: callers.sessions, apiKeys: apiKeys,
                issuer: settings.issuer, audience: settings.audience),
            service: service, callers: callers, sessions: callers.sessions
        ).add(to: router)
    }

    private func resourceListener(
        verifier: TokenVerifier, gateway: GatewayIdentity?, database: Database, store: any SessionStore
    ) -> Listener {
        let router = Router(context: ResourceCall.self, options: .autoGenerateHeadEndpoints).add(
            middleware: ProblemMiddleware())
        HealthRoutes(database: database).add(to: router)
        MetricRoutes(metrics: metrics).add(to: router)
        ResourceRoutes(
            verifier: verifier, gateway: gateway, users: UserTable(database: database), sessions: store
        ).add(to: router)
        return Listener("resource", on: settings.resourceListen, router: router, logger: logger)
    }

    private func serve(_ services: [any Service]) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(Self.shutdownSeconds)
        try await ServiceGroup(configuration: configuration).run()
    }
}
