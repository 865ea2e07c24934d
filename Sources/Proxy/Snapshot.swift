// One worker's compiled copy of a configuration. Exchanges name the snapshot they began with, so that a reload never
// changes a request halfway; when the last of them is over, an old snapshot goes.
import Bytes
import Configuration
import HTTP
import Policy
import Telemetry

struct Snapshot: ~Copyable {
    private let inPlace = InPlace()
    private(set) var configuration: GatewayConfiguration
    var table: RouteTable
    private(set) var routes: FixedArray<Route>
    /// By listener of the configuration.
    let limits: FixedArray<ListenerLimits>
    let steps: FixedArray<TemplateStep>
    let text: ByteBuffer
    let filters: SlotTable<FieldFilter>
    /// What upstreams may not tell clients where `cors` says nothing: hop-by-hop fields, and a word that is ours.
    let responseFilter: SlotID
    /// Of an answer that opens a tunnel on a stream, where nothing is made of a key.
    let streamUpgradeFilter: SlotID
    let crossOrigin: CrossOrigin
    /// The different `identity_token` blocks.
    let mints: [IdentityMint]
    var authorization: Authorization
    /// Whom each location asks who is asking: set when the authenticator knows the configuration's providers.
    var plans = FixedArray(repeating: AuthenticationPlan(), count: 0)
    let challenges: Challenges
    /// Whose revocations hold in each location, as the authenticator numbers them; -1: nobody's.
    var revocations = FixedArray(repeating: Int32(-1), count: 0)
    var balancers: [LoadBalancer]
    /// For each group, the pool's numbers of its endpoints, in the balancer's order.
    let endpoints: [[Int32]]
    /// Where access logs go, by the index in a route.
    let accessLogs: [AccessLog]
    /// Steps of each text log format; empty for JSON.
    let logPrograms: [ProgramRange]
    /// Exchanges that began with it.
    var exchanges = 0
    /// When what still runs in it is cut short; set when a newer one is installed.
    var endsAt: Instant?

    /// `serial` tells the snapshots of a worker apart, those that are gone included.
    ///
    /// Nil when the configuration cannot be compiled; the diagnostics say why. Only the rehearsal can fail.
    static func compile(
        _ configuration: GatewayConfiguration, into pool: inout UpstreamPool, serial: UInt32 = 0,
        _ diagnostics: inout [Diagnostic]
    ) -> Snapshot? {
        guard let table = RouteTable.compile(configuration, &diagnostics) else { return nil }
        pool.retireAll()
        let endpoints = configuration.upstreams.map { pool.adopt($0) }
        var builder = SnapshotBuilder(configuration, serial: serial)
        let routes = FixedArray(repeating: Route(), count: configuration.locations.count)
        return builder.build(table, routes, endpoints)
    }

    init(
        _ configuration: GatewayConfiguration, _ table: consuming RouteTable, _ routes: consuming FixedArray<Route>,
        _ limits: consuming FixedArray<ListenerLimits>, _ steps: consuming FixedArray<TemplateStep>,
        _ text: consuming ByteBuffer, _ filters: consuming SlotTable<FieldFilter>, _ responseFilter: SlotID,
        _ streamUpgradeFilter: SlotID, _ endpoints: [[Int32]], _ accessLogs: [AccessLog], _ logPrograms: [ProgramRange],
        _ crossOrigin: consuming CrossOrigin, _ mints: [IdentityMint]
    ) {
        self.configuration = configuration
        self.table = table
        self.routes = routes
        self.limits = limits
        self.steps = steps
        self.text = text
        self.filters = filters
        self.responseFilter = responseFilter
        self.streamUpgradeFilter = streamUpgradeFilter
        authorization = Authorization(configuration)
        challenges = Challenges(configuration)
        balancers = configuration.upstreams.map { LoadBalancer($0) }
        self.endpoints = endpoints
        self.accessLogs = accessLogs
        self.logPrograms = logPrograms
        self.crossOrigin = crossOrigin
        self.mints = mints
    }
    var rolesPath: String? { configuration.roles?.path }
    /// Rules are asked for every request anew: what roles grant holds from the next one on, whatever is cached. Fields that
    /// tell permissions are made anew: `serial` sets them apart from those that are kept.
    mutating func replaceRoles(_ roles: RolesFile, serial: UInt32) {
        configuration.roles = roles
        authorization = Authorization(configuration)
        for i in 0..<routes.count where routes[i].identityStamp != 0 {
            routes[i].identityStamp = Route.identityStamp(serial, routes[i].identityStamp & 4095)
        }
    }
    /// Balancers of unchanged groups go on where the older snapshot's are.
    mutating func inherit(_ older: borrowing Snapshot) {
        for i in configuration.upstreams.indices {
            let group = configuration.upstreams[i]
            guard let j = older.configuration.upstreams.firstIndex(where: { $0.name == group.name }),
                older.configuration.upstreams[j].endpoints == group.endpoints
            else { continue }
            balancers[i].inherit(older.balancers[j])
        }
    }
    var labels: CounterLabels {
        CounterLabels(
            routes: configuration.locations.map(\.name), upstreams: configuration.upstreams.map(\.name),
            reasons: LocalResponse.allCases.map { "\($0.code)" })
    }
}
