-- Traces that LuaJIT compiles, throws away and compiles anew; one line with a known result.
local bit, ffi = require("bit"), require("ffi")
local results = {}

local function nbody(steps)
    local x, y, vx, vy = {0, 1, 5.2}, {0, 0, 0}, {0, 0, 0}, {0, 6.28, 2.75}
    local mass = {1, 3e-6, 9.5e-4}
    for i = 1, 3 do vx[i] = vx[i] or 0 vy[i] = vy[i] or 0 end
    for _ = 1, steps do
        for i = 1, 3 do
            for j = i + 1, 3 do
                local dx, dy = x[i] - x[j], y[i] - y[j]
                local d2 = dx * dx + dy * dy
                local f = 39.478 / (d2 * math.sqrt(d2)) * 1e-4
                vx[i] = vx[i] - dx * mass[j] * f vy[i] = vy[i] - dy * mass[j] * f
                vx[j] = vx[j] + dx * mass[i] * f vy[j] = vy[j] + dy * mass[i] * f
            end
        end
        for i = 1, 3 do x[i] = x[i] + vx[i] * 1e-4 y[i] = y[i] + vy[i] * 1e-4 end
    end
    return string.format("%.9f,%.9f", x[2], y[3])
end

local function fannkuch(n)
    local p, q, s, sign, most, sum = {}, {}, {}, 1, 0, 0
    for i = 1, n do p[i] = i q[i] = i s[i] = i end
    repeat
        local q0 = p[1]
        if q0 ~= 1 then
            for i = 2, n do q[i] = p[i] end
            local flips = 1
            while true do
                local qq = q[q0]
                if qq == 1 then
                    sum = sum + sign * flips
                    if flips > most then most = flips end
                    break
                end
                q[q0] = q0
                if q0 >= 4 then
                    local i, j = 2, q0 - 1
                    repeat q[i], q[j] = q[j], q[i] i = i + 1 j = j - 1 until i >= j
                end
                q0 = qq flips = flips + 1
            end
        end
        if sign == 1 then
            p[1], p[2] = p[2], p[1] sign = -1
        else
            p[2], p[3] = p[3], p[2] sign = 1
            for i = 3, n do
                local sx = s[i]
                if sx ~= 1 then s[i] = sx - 1 break end
                if i == n then return sum .. "," .. most end
                s[i] = i
                local t = p[1]
                for j = 1, i do p[j] = p[j + 1] end
                p[i + 1] = t
            end
        end
    until false
end

local function mandelbrot(n)
    local inside = 0
    for py = 0, n - 1 do
        for px = 0, n - 1 do
            local cr, ci, zr, zi, i = px / n * 3 - 2, py / n * 2 - 1, 0, 0, 0
            while i < 60 and zr * zr + zi * zi < 4 do zr, zi, i = zr * zr - zi * zi + cr, 2 * zr * zi + ci, i + 1 end
            if i == 60 then inside = inside + 1 end
        end
    end
    return inside
end

local function hash(rounds)
    local h = 17
    for i = 1, rounds do h = bit.bxor(bit.rol(h, 5), i * 7 + bit.rshift(h, 3)) end
    return bit.tohex(h)
end

local function strings(count)
    local list, total = {}, 0
    for i = 1, count do list[#list + 1] = ("%d-%s"):format(i, (i * i .. ""):reverse()) end
    table.sort(list)
    for word in table.concat(list, " "):gmatch("%d+") do total = (total * 31 + #word + tonumber(word:sub(-1))) % 1000003 end
    return total
end

local function calls(count)
    local producer = coroutine.wrap(function() for i = 1, count do coroutine.yield(i % 7) end return -1 end)
    local sum = 0
    while true do
        local value = producer()
        if value < 0 then return sum end
        sum = sum + value
    end
end

ffi.cdef("typedef struct { int32_t a; double b; uint8_t c[8]; } stress_item;")
local function structures(count)
    local items = ffi.new("stress_item[?]", 100)
    local sum = 0
    for i = 0, count - 1 do
        local item = items[i % 100]
        item.a = item.a + i
        item.b = item.b + item.a * 0.25
        item.c[i % 8] = i
        sum = sum + item.c[(i * 3) % 8]
    end
    return string.format("%d,%.2f", sum, items[37].b)
end

local function all()
    return table.concat({nbody(20000), fannkuch(7), mandelbrot(60), hash(300000), strings(2000), calls(20000),
        structures(100000)}, " ")
end

local first
for _, options in ipairs({{"hotloop=56"}, {"hotloop=3", "hotexit=1"}, {"-fold", "-cse"}, {"maxmcode=64", "sizemcode=32"}}) do
    jit.flush()
    jit.opt.start(3, unpack(options))
    local result = all()
    collectgarbage()
    first = first or result
    if result ~= first then print("with " .. options[1] .. ": " .. result .. ", not " .. first) os.exit(1) end
end
print(first)
