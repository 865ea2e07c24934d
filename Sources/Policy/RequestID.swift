// Names for requests, made without a system call.
package import Bytes

/// 128 bits that name one request in every log it touches; 32 hex digits as text.
package struct RequestID: Equatable, Sendable, BitwiseCopyable {
    let high: UInt64, low: UInt64

    package static let textLength = 32
    package static let none = RequestID(high: 0, low: 0)

    package func append(to out: inout ByteBuffer) {
        out.append(hexadecimal(UInt32(truncatingIfNeeded: high >> 32)))
        out.append(hexadecimal(UInt32(truncatingIfNeeded: high)))
        out.append(hexadecimal(UInt32(truncatingIfNeeded: low >> 32)))
        out.append(hexadecimal(UInt32(truncatingIfNeeded: low)))
    }
}

/// The names one worker gives: a random half of its own, and a random starting point that is counted on and mixed. The
/// mix is a bijection, so none repeats within 2⁶⁴; the first half keeps workers apart. They are names, not secrets.
package struct RequestIDs: ~Copyable {
    private let worker: UInt64
    private var counter: UInt64

    /// Asks the system for random numbers, once: a system call for each request would cost 0.3 µs.
    package init() {
        var system = SystemRandomNumberGenerator()
        self.init(worker: system.next(), counter: system.next())
    }
    package init(worker: UInt64, counter: UInt64) {
        self.worker = worker
        self.counter = counter
    }

    package mutating func next() -> RequestID {
        counter &+= 0x9e37_79b9_7f4a_7c15  // an odd step reaches every value
        var mixed = counter
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return RequestID(high: worker, low: mixed ^ mixed >> 31)
    }
}
