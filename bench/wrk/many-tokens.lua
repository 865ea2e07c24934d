-- Requests cycle through all tokens of the file, so that a cache must hold them all.
local requests = require "requests"

function init(args) request = requests.cycle(requests.from(args[1], 0, 1, math.huge)) end

done = requests.report("ok")
