// What is to come of bodies whose length was announced: as much comes, or the stream is reset (RFC 9113 section 8.1.1).

struct AnnouncedLengths {
    private struct Length {
        let stream: Int32
        var left: Int64
    }
    /// Of the streams whose requests are not whole: nearly always none.
    private var all: [Length] = []

    mutating func announce(_ length: Int64, _ stream: Int32) { all.append(Length(stream: stream, left: length)) }

    /// False: more came than was announced, or less; nothing is asked of that stream any more.
    @inline(__always) mutating func agree(with event: StreamEvent) -> Bool { all.isEmpty || agrees(event) }

    private mutating func agrees(_ event: StreamEvent) -> Bool {
        switch event {
        case .body(let stream, let range):
            guard let k = place(of: stream) else { return true }
            all[k].left -= Int64(range.count)
            if all[k].left >= 0 { return true }
            all.remove(at: k)
            return false
        case .end(let stream):
            guard let k = place(of: stream) else { return true }
            return all.remove(at: k).left == 0
        case .closed(let stream, _):
            if let k = place(of: stream) { all.remove(at: k) }
            return true
        case .head, .refused, .trailers, .drained, .answered: return true
        }
    }
    private func place(of stream: Int32) -> Int? { all.firstIndex { $0.stream == stream } }
}
