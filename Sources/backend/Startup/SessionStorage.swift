// Where sessions, revocations and failed logins are kept: in the database, or in Redis when the settings name one.
import Logging
import ServiceLifecycle

struct SessionStorage {
    let store: any SessionStore
    /// What has to run beside it.
    let services: [any Service]
    private let redis: RedisClient?

    init(
        _ settings: Settings, database: Database, revocations: RevocationStore, logger: Logger,
        metrics: MetricRegistry
    ) throws(StartupFailure) {
        guard let shared = settings.redis else {
            store = DatabaseSessionStore(
                tokens: RefreshTokenStore(
                    database: database, revocations: revocations, lifetime: settings.refreshTokenLifetime,
                    idle: settings.refreshTokenIdle, grace: settings.refreshGrace))
            services = []
            redis = nil
            return
        }
        let client = RedisClient(try RedisOptions(shared), logger: logger, metrics: metrics)
        let store = RedisSessionStore(
            redis: client,
            terms: RedisSessionStore.Terms(
                prefix: shared.prefix, issuer: settings.issuer, channel: shared.channel,
                accessTokenLifetime: settings.accessTokenLifetime, lifetime: settings.refreshTokenLifetime,
                idle: settings.refreshTokenIdle, grace: settings.refreshGrace),
            users: UserTable(database: database), pending: PendingEndings(database: database))
        self.store = store
        services = [EndingRelay(store: store, logger: logger)]
        redis = client
    }

    func close() async { await redis?.close() }
}
