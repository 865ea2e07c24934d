// The query of a request: known parameters only, each once.
import HTTPTypes
import Hummingbird

struct QueryParameters: Sendable {
    private var values: [String: String] = [:]

    /// Throws a `Problem` that names the parameter it does not know.
    init(_ request: Request, known: Set<String>) throws(Problem) {
        for pair in (request.uri.query ?? "").utf8.split(separator: UInt8(ascii: "&")) {
            let halves = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = FormBody.decode(halves[0]),
                let value = FormBody.decode(halves.dropFirst().first ?? pair.prefix(0))
            else { throw .badQuery("the query is not correctly encoded") }
            guard known.contains(name) else {
                let names = known.sorted().joined(separator: ", ")
                throw .badQuery("unknown parameter \"\(name)\"; known are \(names)", name)
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw .badQuery("the parameter \(name) is given twice", name)
            }
        }
    }

    subscript(name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }

    func number(_ name: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text), range ~= number else {
            throw .badQuery("\(name) must be a number from \(range.lowerBound) to \(range.upperBound)", name)
        }
        return number
    }
}

extension Problem {
    static func badQuery(_ detail: String, _ parameter: String? = nil) -> Problem {
        Problem(status: .badRequest, code: "invalid_request", detail: detail, member: parameter)
    }
}
