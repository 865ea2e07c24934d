// Whoever came first is taken first, however long the line and however often it runs empty.
import Testing

@testable import Proxy

/// A line, which cannot be copied, where an expectation may look at it.
private final class Line {
    var places = WaitingLine<Int>()
    func append(_ place: Int) { places.append(place) }
    func next() -> Int? { places.next() }
    var count: Int { places.count }
    var isEmpty: Bool { places.isEmpty }
}

struct WaitingLineTests {
    @Test func `none waits in a new one`() {
        let line = Line()
        #expect(line.isEmpty && line.next() == nil)
    }

    /// Places that were taken are given up now and then, in the midst of the line and at its end.
    @Test(arguments: [(1, 1), (3, 2), (700, 500), (5000, 4999), (2, 5)])
    func `the order is kept while some come and some are taken`(come: Int, taken: Int) {
        let line = Line()
        var last = 0
        var first = 0
        for _ in 0..<20 {
            for _ in 0..<come {
                line.append(last)
                last += 1
            }
            for _ in 0..<taken {
                let next = line.next()
                #expect(next == (first < last ? first : nil))
                if next != nil { first += 1 }
            }
            #expect(line.count == last - first && line.isEmpty == (first == last))
        }
        while let next = line.next() {
            #expect(next == first)
            first += 1
        }
        #expect(first == last && line.isEmpty)
    }
}
