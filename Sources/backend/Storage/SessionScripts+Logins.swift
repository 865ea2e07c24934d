// What Redis runs in one piece for failed logins.
//
// PREFIX:failures:SUBJECT   count, locked (until when), for a day after the last failure
// PREFIX:failure_times      subjects by their last failure; PREFIX:failure_weights by what is lost when they are forgotten

extension SessionScripts {
    private static let locks = """
        local function locked(subject) return tonumber(redis.call('HGET', key('failures', subject), 'locked') or '0') end

        local function failures(subject) return tonumber(redis.call('HGET', key('failures', subject), 'count') or '0') end

        local function keep(subject, count, lock)
          local name = key('failures', subject)
          redis.call('HSET', name, 'count', digits(count), 'locked', digits(lock))
          redis.call('PEXPIRE', name, digits(day))
          redis.call('ZADD', prefix .. ':failure_times', digits(now), subject)
          redis.call('ZADD', prefix .. ':failure_weights', digits(lock > 0 and lock or count), subject)
        end

        local function drop(subject)
          redis.call('DEL', key('failures', subject))
          redis.call('ZREM', prefix .. ':failure_times', subject)
          redis.call('ZREM', prefix .. ':failure_weights', subject)
        end

        -- One failure more; from the rule's number on, each locks twice as long as the one before.
        local function count(subject, allowed, first, longest)
          local failures = failures(subject) + 1
          local doublings = failures - allowed
          local lock = 0
          if doublings >= 0 then lock = now + math.min(longest, first * 2 ^ math.min(doublings, 16)) * 1000 end
          keep(subject, failures, lock)
        end

        """

    /// pair, name → how long they are locked yet.
    static let lock = script(
        locks + """
            return digits(math.max(locked(ARGV[5]), locked(ARGV[6])) - now)
            """)

    /// pair, name, the failures that are allowed and the longest lock in seconds of each, the first lock → how long
    /// they had been locked yet; what is not above zero was counted.
    static let recordFailure = script(
        locks + """
            local pair, name, pair_allowed, pair_longest, name_allowed, name_longest, first = unpack(ARGV, 5)
            local left = math.max(locked(pair), locked(name)) - now
            if left <= 0 then
              count(pair, tonumber(pair_allowed), tonumber(first), tonumber(pair_longest))
              count(name, tonumber(name_allowed), tonumber(first), tonumber(name_longest))
            end
            return digits(left)
            """)

    /// pair, name → how long they are locked yet; when they are not, the failures of the pair are forgotten.
    static let recordSuccess = script(
        locks + """
            local pair, name = ARGV[5], ARGV[6]
            local left = math.max(locked(pair), locked(name)) - now
            local count = failures(pair)
            if left <= 0 and count > 0 then
              local others = math.max(0, failures(name) - count)
              drop(pair)
              if others > 0 then redis.call('HSET', key('failures', name), 'count', digits(others)) else drop(name) end
            end
            return digits(left)
            """)

    /// The number of subjects that are kept → how many were forgotten, at most 2000: what is old and, when there is too
    /// much, what weighs least.
    static let sweepLogins = script(
        locks + """
            local old = redis.call(
              'ZRANGE', prefix .. ':failure_times', '-inf', digits(now - day), 'BYSCORE', 'LIMIT', 0, 1000)
            for _, subject in ipairs(old) do drop(subject) end
            local excess = math.min(redis.call('ZCARD', prefix .. ':failure_weights') - tonumber(ARGV[5]), 1000)
            if excess <= 0 then return #old end
            local light = redis.call('ZRANGE', prefix .. ':failure_weights', 0, excess - 1)
            for _, subject in ipairs(light) do drop(subject) end
            return #old + #light
            """)
}
