// Compiled rules against their plain meaning, over random trees and random claims.
import Configuration
import Policy
import Testing
import TokenSigning

@Suite struct AccessRulesPropertyTests {
    /// A claim as the tests know it.
    private enum Claim {
        case missing, null, flag(Bool), number(Int, String), text(String), list([String]), object

        var json: String? {
            switch self {
            case .missing: nil
            case .null: "null"
            case .flag(let value): "\(value)"
            case .number(_, let text): text
            case .text(let text): "\"\(text)\""
            case .list(let elements): "[" + elements.map { "\"\($0)\"" }.joined(separator: ",") + "]"
            case .object: #"{"a":1}"#
            }
        }
    }

    private struct Identity {
        var permissions: [String] = []
        var scopes: [String] = []
        var roles: [String] = []
        var claims: [String: Claim] = [:]

        var payload: String {
            func array(_ list: [String]) -> String { "[" + list.map { "\"\($0)\"" }.joined(separator: ",") + "]" }
            var members: [String: String?] = [
                "permissions": array(permissions), "scope": "\"" + scopes.joined(separator: " ") + "\"",
                "roles": array(roles),
            ]
            for (name, claim) in claims { members.updateValue(claim.json, forKey: name) }
            return PolicyTests.claims(members)
        }
    }

    private static let names = ["a:b", "a:c", "x:b", "x:c", "*", "a:*", "*:b", "y,z", "50%"]
    private static let required = ["a:b", "a:c", "x:b", "x:c", "y,z", "50%"]
    private static let roleNames = ["admin", "site user", "guest"]
    private static let texts = ["5", "05", "x", "true", "a b", "x%"]
    private static let roles = [
        RolesFile.Role("admin", ["a:b", "x:*"]), RolesFile.Role("site user", ["a:c"]),
    ]

    // Making

    private func subset(_ of: [String], _ random: inout SeededRandom) -> [String] {
        of.filter { _ in random.below(4) == 0 }
    }
    private func claim(_ random: inout SeededRandom) -> Claim {
        switch random.below(9) {
        case 0: return .missing
        case 1: return .null
        case 2: return .flag(random.below(2) == 0)
        case 3, 4:
            let (value, text) = [(5, "5"), (5, "5.0"), (5, "50e-1"), (6, "6"), (-5, "-5"), (0, "-0.0")][random.below(6)]
            return .number(value, text)
        case 5, 6: return .text(Self.texts[random.below(Self.texts.count)])
        case 7: return .list(subset(Self.texts, &random))
        default: return .object
        }
    }
    private func identity(_ random: inout SeededRandom) -> Identity {
        Identity(
            permissions: subset(Self.names, &random), scopes: subset(Self.names, &random),
            roles: subset(Self.roleNames, &random), claims: ["c": claim(&random), "d": claim(&random)])
    }
    private func condition(_ random: inout SeededRandom) -> ClaimCondition {
        let comparison = ClaimCondition.Comparison.allCases[random.below(ClaimCondition.Comparison.allCases.count)]
        let path = ClaimPath(random.below(2) == 0 ? "c" : "d")
        switch comparison {
        case .exists, .absent: return ClaimCondition(path, comparison)
        case .isLess, .isLessOrEqual, .isGreater, .isGreaterOrEqual:
            return ClaimCondition(path, comparison, [Template(text: ["5", "0", "-5", "6"][random.below(4)])])
        case .isIn:
            return ClaimCondition(
                path, comparison, subset(Self.texts, &random).map { Template(text: $0) } + [Template(text: "q")])
        default: return ClaimCondition(path, comparison, [Template(text: Self.texts[random.below(Self.texts.count)])])
        }
    }
    private func tree(_ depth: Int, _ random: inout SeededRandom) -> Requirement {
        let nowhere = SourcePosition(file: "", line: 1, column: 1)
        func parts(_ random: inout SeededRandom) -> [Requirement] {
            (0...random.below(3)).map { _ in tree(depth - 1, &random) }
        }
        guard depth > 0, random.below(3) > 0 else {
            if random.below(2) == 0 { return Requirement(.claim(condition(&random)), at: nowhere) }
            let grant = Requirement.Grant.allCases[random.below(3)]
            let names = grant == .role ? Self.roleNames : Self.required
            return Requirement(.grant(grant, names[random.below(names.count)]), at: nowhere)
        }
        switch random.below(4) {
        case 0: return Requirement(.all(parts(&random)), at: nowhere)
        case 1: return Requirement(.any(parts(&random)), at: nowhere)
        case 2: return Requirement(.none(parts(&random)), at: nowhere)
        default: return Requirement(.policy("p", parts(&random)), at: nowhere)
        }
    }

    // Their meaning

    private func covers(_ granted: String, _ name: String, _ wildcards: Bool) -> Bool {
        if granted == name || wildcards && granted == "*" { return true }
        let (a, b) = (granted.split(separator: ":"), name.split(separator: ":"))
        return wildcards && a.count == b.count && zip(a, b).allSatisfy { $0 == "*" || $0 == $1 }
    }
    private func holds(_ grant: Requirement.Grant, _ name: String, _ who: Identity, _ wildcards: Bool) -> Bool {
        switch grant {
        case .role: return who.roles.contains(name)
        case .scope: return who.scopes.contains { covers($0, name, wildcards) }
        case .permission:
            let all = who.permissions + Self.roles.filter { who.roles.contains($0.name) }.flatMap(\.permissions)
            return all.contains { covers($0, name, wildcards) }
        }
    }
    private func isEqual(_ claim: Claim, _ value: String) -> Bool {
        switch claim {
        case .text(let text): text == value
        // "05" is no number.
        case .number(let number, _): Int(value) == number && value != "05"
        case .flag(let flag): "\(flag)" == value
        default: false
        }
    }
    private func holds(_ condition: ClaimCondition, _ who: Identity) -> Bool {
        let claim = who.claims[condition.path.names[0]] ?? .missing
        let values = condition.values.map { template -> String in
            guard case .text(let bytes)? = template.pieces.first else { return "" }
            return String(decoding: bytes, as: UTF8.self)
        }
        var isThere = true
        var number: Int?
        var isList = false
        var isScalar = false
        switch claim {
        case .missing, .null: isThere = false
        case .number(let value, _): (number, isScalar) = (value, true)
        case .text, .flag: isScalar = true
        case .list: isList = true
        case .object: break
        }
        switch condition.comparison {
        case .exists: return isThere
        case .absent: return !isThere
        case .equals, .isIn: return values.contains { isEqual(claim, $0) }
        case .differs: return isScalar && !isEqual(claim, values[0])
        case .contains:
            if isList, case .list(let elements) = claim { return elements.contains(values[0]) }
            return isEqual(claim, values[0])
        case .isLess: return number.map { $0 < Int(values[0])! } ?? false
        case .isLessOrEqual: return number.map { $0 <= Int(values[0])! } ?? false
        case .isGreater: return number.map { $0 > Int(values[0])! } ?? false
        case .isGreaterOrEqual: return number.map { $0 >= Int(values[0])! } ?? false
        }
    }
    private func holds(_ requirement: Requirement, _ who: Identity, _ wildcards: Bool) -> Bool {
        switch requirement.demand {
        case .grant(let grant, let name): holds(grant, name, who, wildcards)
        case .claim(let condition): holds(condition, who)
        case .all(let parts), .policy(_, let parts): parts.allSatisfy { holds($0, who, wildcards) }
        case .any(let parts): parts.contains { holds($0, who, wildcards) }
        case .none(let parts): !parts.contains { holds($0, who, wildcards) }
        }
    }

    @Test(arguments: [1, 2, 3, 20_261_125] as [UInt64])
    func compiledRulesMeanWhatTheySay(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let accesses = (0..<200).map { index -> Access in
            var access = Access()
            access.providers = [0]
            access.grantsWildcards = index % 2 == 0
            access.requirements = (0...random.below(3)).map { _ in tree(4, &random) }
            return access
        }
        var kept = KeptClaims()
        kept.scopes = true
        kept.roles = true
        kept.paths = [ClaimPath("c"), ClaimPath("d")]
        var authenticator = Authenticator([provider { $0.kept = kept }], workers: 1)
        var authorization = Authorization(accesses, kept, RolesFile(path: "", roles: Self.roles))
        var allowed = 0
        for _ in 0..<40 {
            let who = identity(&random)
            let found = try principal(&authenticator, TokenSigner.rsa.token(who.payload))
            for (index, access) in accesses.enumerated() {
                let expected = access.requirements.firstIndex { !holds($0, who, access.grantsWildcards) }
                let verdict = judge(&authorization, index, PrincipalSet(found), authenticator)
                if expected == nil { allowed += 1 }
                #expect(
                    verdict == (expected.map { .denied($0) } ?? .allowed),
                    "seed \(seed), location \(index): \(who.payload)")
            }
            authenticator.release(found)
        }
        // Neither answer is so rare that little was tried.
        #expect(allowed > 800 && allowed < 7200, "\(allowed)")
    }
}
