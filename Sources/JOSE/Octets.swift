// Copies the bytes of a span into an array that travels between threads.

extension Array where Element == UInt8 {
    init(copying bytes: borrowing Span<UInt8>) {
        self.init()
        reserveCapacity(bytes.count)
        for i in 0..<bytes.count { append(bytes[i]) }
    }
}
