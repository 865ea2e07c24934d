// An explanation as text for a person.
import Configuration
import Policy

extension Explanation {
    var text: String {
        var lines = ["\(method) \(target)\(host.isEmpty ? "" : " for \(host)") at \(clock)", ""]
        for step in steps where step.result != .notReached { lines += Self.lines(of: step) }
        let skipped = steps.filter { $0.result == .notReached }.map(\.check.rawValue)
        if !skipped.isEmpty { lines.append("not reached: " + skipped.joined(separator: ", ")) }
        lines += ["", "verdict: \(verdictText)"]
        if !forwarded.isEmpty {
            lines += [
                "", "to \(upstream)" + (endpoints == [upstream] ? "" : " (\(endpoints.joined(separator: ", ")))") + ":",
            ]
            lines += Self.message(forwarded)
        }
        if !response.isEmpty { lines += ["", "response:"] + Self.message(response) }
        if let wouldRefuse {
            lines += [
                "",
                "auth_mode report: it goes on without an identity; enforced, it would be refused with "
                    + "\(wouldRefuse.status) \(wouldRefuse.code)",
            ]
        }
        if !advice.isEmpty { lines += ["", "to pass:"] + advice.map { "  \($0)" } }
        return lines.map(Self.printable).joined(separator: "\n") + "\n"
    }

    var verdictText: String {
        switch verdict {
        case .forwarded: "allowed, forwarded to \(upstream)"
        case .answered: "allowed, answered by the gateway"
        case .depends(let provider): "depends on the service of \(provider)"
        case .refused(let refusal): "refused, \(refusal.status) \(refusal.code): \(refusal.detail)"
        }
    }

    private static func lines(of step: Step) -> [String] {
        let mark =
            switch step.result {
            case .passed: "ok  "
            case .failed: "FAIL"
            case .notReached: "-   "
            case .notChecked: "?   "
            }
        var places: [String] = []
        for demand in step.demands {
            let place = "\(demand.position.file):\(demand.position.line): \(demand.directive)"
            if !places.contains(place) { places.append(place) }
        }
        let name = step.check.rawValue
        let padding = String(repeating: " ", count: max(1, 17 - name.utf8.count))
        var lines: [String] = []
        func add(_ word: String, _ text: String?) {
            guard let text else { return }
            lines.append("       \(word)  \(text)")
        }
        let place = places.isEmpty ? "" : padding + places.joined(separator: ", ")
        if step.result == .passed, let got = step.got {
            lines.append("       " + got + (step.expected.map { "; wanted \($0)" } ?? ""))
        } else {
            add("wanted", step.expected)
            add("got   ", step.got)
        }
        return ["\(mark)  \(name)\(place)"] + lines
    }

    private static func message(_ text: String) -> [String] {
        var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false).flatMap {
            $0.split(separator: "\n", omittingEmptySubsequences: false)
        }
        while lines.last?.isEmpty ?? false { lines.removeLast() }
        return lines.map { $0.isEmpty ? "" : "  \($0)" }
    }

    /// Claims and targets are anybody's: no byte of them moves a cursor.
    private static func printable(_ line: String) -> String {
        guard line.unicodeScalars.contains(where: isControl) else { return line }
        return line.unicodeScalars.reduce(into: "") { text, scalar in
            if isControl(scalar) {
                text += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
    }
    /// C0, DEL, C1, and the marks that turn text round.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: true
        default: false
        }
    }
}
