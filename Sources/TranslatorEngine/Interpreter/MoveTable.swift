internal import CEngine

// Handlers of one operand size each, in the order 8, 16, 32, 64 bits. The bodies stand in `Moves` and `Shifts`.

let movRegisterRegister: [apus_handler] = [
    { c, o in movRR(UInt8.self, c, o) },
    { c, o in movRR(UInt16.self, c, o) },
    { c, o in movRR(UInt32.self, c, o) },
    { c, o in movRR(UInt64.self, c, o) },
]

let movRegisterMemory: [apus_handler] = [
    { c, o in movRM(UInt8.self, c, o) },
    { c, o in movRM(UInt16.self, c, o) },
    { c, o in movRM(UInt32.self, c, o) },
    { c, o in movRM(UInt64.self, c, o) },
]

let movMemoryRegister: [apus_handler] = [
    { c, o in movMR(UInt8.self, c, o) },
    { c, o in movMR(UInt16.self, c, o) },
    { c, o in movMR(UInt32.self, c, o) },
    { c, o in movMR(UInt64.self, c, o) },
]

let movMemoryImmediate: [apus_handler] = [
    { c, o in movMI(UInt8.self, c, o) },
    { c, o in movMI(UInt16.self, c, o) },
    { c, o in movMI(UInt32.self, c, o) },
    { c, o in movMI(UInt64.self, c, o) },
]

let movRegisterImmediate: [apus_handler] = [
    { c, o in movRI(UInt8.self, c, o) },
    { c, o in movRI(UInt16.self, c, o) },
    { c, o in movRI(UInt32.self, c, o) },
    { c, o in movRI(UInt64.self, c, o) },
]

let incRegister: [apus_handler] = [
    { c, o in unaryR(Inc.self, UInt8.self, c, o) },
    { c, o in unaryR(Inc.self, UInt16.self, c, o) },
    { c, o in unaryR(Inc.self, UInt32.self, c, o) },
    { c, o in unaryR(Inc.self, UInt64.self, c, o) },
]

let incMemory: [apus_handler] = [
    { c, o in unaryM(Inc.self, UInt8.self, c, o) },
    { c, o in unaryM(Inc.self, UInt16.self, c, o) },
    { c, o in unaryM(Inc.self, UInt32.self, c, o) },
    { c, o in unaryM(Inc.self, UInt64.self, c, o) },
]

let decRegister: [apus_handler] = [
    { c, o in unaryR(Dec.self, UInt8.self, c, o) },
    { c, o in unaryR(Dec.self, UInt16.self, c, o) },
    { c, o in unaryR(Dec.self, UInt32.self, c, o) },
    { c, o in unaryR(Dec.self, UInt64.self, c, o) },
]

let decMemory: [apus_handler] = [
    { c, o in unaryM(Dec.self, UInt8.self, c, o) },
    { c, o in unaryM(Dec.self, UInt16.self, c, o) },
    { c, o in unaryM(Dec.self, UInt32.self, c, o) },
    { c, o in unaryM(Dec.self, UInt64.self, c, o) },
]

let negRegister: [apus_handler] = [
    { c, o in unaryR(Neg.self, UInt8.self, c, o) },
    { c, o in unaryR(Neg.self, UInt16.self, c, o) },
    { c, o in unaryR(Neg.self, UInt32.self, c, o) },
    { c, o in unaryR(Neg.self, UInt64.self, c, o) },
]

let negMemory: [apus_handler] = [
    { c, o in unaryM(Neg.self, UInt8.self, c, o) },
    { c, o in unaryM(Neg.self, UInt16.self, c, o) },
    { c, o in unaryM(Neg.self, UInt32.self, c, o) },
    { c, o in unaryM(Neg.self, UInt64.self, c, o) },
]

let notRegister: [apus_handler] = [
    { c, o in unaryR(Not.self, UInt8.self, c, o) },
    { c, o in unaryR(Not.self, UInt16.self, c, o) },
    { c, o in unaryR(Not.self, UInt32.self, c, o) },
    { c, o in unaryR(Not.self, UInt64.self, c, o) },
]

let notMemory: [apus_handler] = [
    { c, o in unaryM(Not.self, UInt8.self, c, o) },
    { c, o in unaryM(Not.self, UInt16.self, c, o) },
    { c, o in unaryM(Not.self, UInt32.self, c, o) },
    { c, o in unaryM(Not.self, UInt64.self, c, o) },
]

// ROL: register by immediate, register by CL, memory by immediate, memory by CL.
let rolHandlers: [apus_handler] = [
    { c, o in shiftRI(Rol.self, UInt8.self, c, o) },
    { c, o in shiftRI(Rol.self, UInt16.self, c, o) },
    { c, o in shiftRI(Rol.self, UInt32.self, c, o) },
    { c, o in shiftRI(Rol.self, UInt64.self, c, o) },
    { c, o in shiftRC(Rol.self, UInt8.self, c, o) },
    { c, o in shiftRC(Rol.self, UInt16.self, c, o) },
    { c, o in shiftRC(Rol.self, UInt32.self, c, o) },
    { c, o in shiftRC(Rol.self, UInt64.self, c, o) },
    { c, o in shiftMI(Rol.self, UInt8.self, c, o) },
    { c, o in shiftMI(Rol.self, UInt16.self, c, o) },
    { c, o in shiftMI(Rol.self, UInt32.self, c, o) },
    { c, o in shiftMI(Rol.self, UInt64.self, c, o) },
    { c, o in shiftMC(Rol.self, UInt8.self, c, o) },
    { c, o in shiftMC(Rol.self, UInt16.self, c, o) },
    { c, o in shiftMC(Rol.self, UInt32.self, c, o) },
    { c, o in shiftMC(Rol.self, UInt64.self, c, o) },
]

// ROR: register by immediate, register by CL, memory by immediate, memory by CL.
let rorHandlers: [apus_handler] = [
    { c, o in shiftRI(Ror.self, UInt8.self, c, o) },
    { c, o in shiftRI(Ror.self, UInt16.self, c, o) },
    { c, o in shiftRI(Ror.self, UInt32.self, c, o) },
    { c, o in shiftRI(Ror.self, UInt64.self, c, o) },
    { c, o in shiftRC(Ror.self, UInt8.self, c, o) },
    { c, o in shiftRC(Ror.self, UInt16.self, c, o) },
    { c, o in shiftRC(Ror.self, UInt32.self, c, o) },
    { c, o in shiftRC(Ror.self, UInt64.self, c, o) },
    { c, o in shiftMI(Ror.self, UInt8.self, c, o) },
    { c, o in shiftMI(Ror.self, UInt16.self, c, o) },
    { c, o in shiftMI(Ror.self, UInt32.self, c, o) },
    { c, o in shiftMI(Ror.self, UInt64.self, c, o) },
    { c, o in shiftMC(Ror.self, UInt8.self, c, o) },
    { c, o in shiftMC(Ror.self, UInt16.self, c, o) },
    { c, o in shiftMC(Ror.self, UInt32.self, c, o) },
    { c, o in shiftMC(Ror.self, UInt64.self, c, o) },
]

// RCL: register by immediate, register by CL, memory by immediate, memory by CL.
let rclHandlers: [apus_handler] = [
    { c, o in shiftRI(Rcl.self, UInt8.self, c, o) },
    { c, o in shiftRI(Rcl.self, UInt16.self, c, o) },
    { c, o in shiftRI(Rcl.self, UInt32.self, c, o) },
    { c, o in shiftRI(Rcl.self, UInt64.self, c, o) },
    { c, o in shiftRC(Rcl.self, UInt8.self, c, o) },
    { c, o in shiftRC(Rcl.self, UInt16.self, c, o) },
    { c, o in shiftRC(Rcl.self, UInt32.self, c, o) },
    { c, o in shiftRC(Rcl.self, UInt64.self, c, o) },
    { c, o in shiftMI(Rcl.self, UInt8.self, c, o) },
    { c, o in shiftMI(Rcl.self, UInt16.self, c, o) },
    { c, o in shiftMI(Rcl.self, UInt32.self, c, o) },
    { c, o in shiftMI(Rcl.self, UInt64.self, c, o) },
    { c, o in shiftMC(Rcl.self, UInt8.self, c, o) },
    { c, o in shiftMC(Rcl.self, UInt16.self, c, o) },
    { c, o in shiftMC(Rcl.self, UInt32.self, c, o) },
    { c, o in shiftMC(Rcl.self, UInt64.self, c, o) },
]

// RCR: register by immediate, register by CL, memory by immediate, memory by CL.
let rcrHandlers: [apus_handler] = [
    { c, o in shiftRI(Rcr.self, UInt8.self, c, o) },
    { c, o in shiftRI(Rcr.self, UInt16.self, c, o) },
    { c, o in shiftRI(Rcr.self, UInt32.self, c, o) },
    { c, o in shiftRI(Rcr.self, UInt64.self, c, o) },
    { c, o in shiftRC(Rcr.self, UInt8.self, c, o) },
    { c, o in shiftRC(Rcr.self, UInt16.self, c, o) },
    { c, o in shiftRC(Rcr.self, UInt32.self, c, o) },
    { c, o in shiftRC(Rcr.self, UInt64.self, c, o) },
    { c, o in shiftMI(Rcr.self, UInt8.self, c, o) },
    { c, o in shiftMI(Rcr.self, UInt16.self, c, o) },
    { c, o in shiftMI(Rcr.self, UInt32.self, c, o) },
    { c, o in shiftMI(Rcr.self, UInt64.self, c, o) },
    { c, o in shiftMC(Rcr.self, UInt8.self, c, o) },
    { c, o in shiftMC(Rcr.self, UInt16.self, c, o) },
    { c, o in shiftMC(Rcr.self, UInt32.self, c, o) },
    { c, o in shiftMC(Rcr.self, UInt64.self, c, o) },
]

// SHL: register by immediate, register by CL, memory by immediate, memory by CL.
let shlHandlers: [apus_handler] = [
    { c, o in shiftRI(Shl.self, UInt8.self, c, o) },
    { c, o in shiftRI(Shl.self, UInt16.self, c, o) },
    { c, o in shiftRI(Shl.self, UInt32.self, c, o) },
    { c, o in shiftRI(Shl.self, UInt64.self, c, o) },
    { c, o in shiftRC(Shl.self, UInt8.self, c, o) },
    { c, o in shiftRC(Shl.self, UInt16.self, c, o) },
    { c, o in shiftRC(Shl.self, UInt32.self, c, o) },
    { c, o in shiftRC(Shl.self, UInt64.self, c, o) },
    { c, o in shiftMI(Shl.self, UInt8.self, c, o) },
    { c, o in shiftMI(Shl.self, UInt16.self, c, o) },
    { c, o in shiftMI(Shl.self, UInt32.self, c, o) },
    { c, o in shiftMI(Shl.self, UInt64.self, c, o) },
    { c, o in shiftMC(Shl.self, UInt8.self, c, o) },
    { c, o in shiftMC(Shl.self, UInt16.self, c, o) },
    { c, o in shiftMC(Shl.self, UInt32.self, c, o) },
    { c, o in shiftMC(Shl.self, UInt64.self, c, o) },
]

// SHR: register by immediate, register by CL, memory by immediate, memory by CL.
let shrHandlers: [apus_handler] = [
    { c, o in shiftRI(Shr.self, UInt8.self, c, o) },
    { c, o in shiftRI(Shr.self, UInt16.self, c, o) },
    { c, o in shiftRI(Shr.self, UInt32.self, c, o) },
    { c, o in shiftRI(Shr.self, UInt64.self, c, o) },
    { c, o in shiftRC(Shr.self, UInt8.self, c, o) },
    { c, o in shiftRC(Shr.self, UInt16.self, c, o) },
    { c, o in shiftRC(Shr.self, UInt32.self, c, o) },
    { c, o in shiftRC(Shr.self, UInt64.self, c, o) },
    { c, o in shiftMI(Shr.self, UInt8.self, c, o) },
    { c, o in shiftMI(Shr.self, UInt16.self, c, o) },
    { c, o in shiftMI(Shr.self, UInt32.self, c, o) },
    { c, o in shiftMI(Shr.self, UInt64.self, c, o) },
    { c, o in shiftMC(Shr.self, UInt8.self, c, o) },
    { c, o in shiftMC(Shr.self, UInt16.self, c, o) },
    { c, o in shiftMC(Shr.self, UInt32.self, c, o) },
    { c, o in shiftMC(Shr.self, UInt64.self, c, o) },
]

// SAR: register by immediate, register by CL, memory by immediate, memory by CL.
let sarHandlers: [apus_handler] = [
    { c, o in shiftRI(Sar.self, UInt8.self, c, o) },
    { c, o in shiftRI(Sar.self, UInt16.self, c, o) },
    { c, o in shiftRI(Sar.self, UInt32.self, c, o) },
    { c, o in shiftRI(Sar.self, UInt64.self, c, o) },
    { c, o in shiftRC(Sar.self, UInt8.self, c, o) },
    { c, o in shiftRC(Sar.self, UInt16.self, c, o) },
    { c, o in shiftRC(Sar.self, UInt32.self, c, o) },
    { c, o in shiftRC(Sar.self, UInt64.self, c, o) },
    { c, o in shiftMI(Sar.self, UInt8.self, c, o) },
    { c, o in shiftMI(Sar.self, UInt16.self, c, o) },
    { c, o in shiftMI(Sar.self, UInt32.self, c, o) },
    { c, o in shiftMI(Sar.self, UInt64.self, c, o) },
    { c, o in shiftMC(Sar.self, UInt8.self, c, o) },
    { c, o in shiftMC(Sar.self, UInt16.self, c, o) },
    { c, o in shiftMC(Sar.self, UInt32.self, c, o) },
    { c, o in shiftMC(Sar.self, UInt64.self, c, o) },
]

// MOVZX: destination 16, 32, 64 from 8; then 16, 32, 64 from 16; then 64 from 32 (and its odd small forms).
let movZeroRegister: [apus_handler] = [
    { c, o in movZeroR(UInt16.self, UInt8.self, c, o) },
    { c, o in movZeroR(UInt32.self, UInt8.self, c, o) },
    { c, o in movZeroR(UInt64.self, UInt8.self, c, o) },
    { c, o in movZeroR(UInt16.self, UInt16.self, c, o) },
    { c, o in movZeroR(UInt32.self, UInt16.self, c, o) },
    { c, o in movZeroR(UInt64.self, UInt16.self, c, o) },
    { c, o in movZeroR(UInt16.self, UInt32.self, c, o) },
    { c, o in movZeroR(UInt32.self, UInt32.self, c, o) },
    { c, o in movZeroR(UInt64.self, UInt32.self, c, o) },
]
let movZeroMemory: [apus_handler] = [
    { c, o in movZeroM(UInt16.self, UInt8.self, c, o) },
    { c, o in movZeroM(UInt32.self, UInt8.self, c, o) },
    { c, o in movZeroM(UInt64.self, UInt8.self, c, o) },
    { c, o in movZeroM(UInt16.self, UInt16.self, c, o) },
    { c, o in movZeroM(UInt32.self, UInt16.self, c, o) },
    { c, o in movZeroM(UInt64.self, UInt16.self, c, o) },
    { c, o in movZeroM(UInt16.self, UInt32.self, c, o) },
    { c, o in movZeroM(UInt32.self, UInt32.self, c, o) },
    { c, o in movZeroM(UInt64.self, UInt32.self, c, o) },
]

// MOVSX: destination 16, 32, 64 from 8; then 16, 32, 64 from 16; then 64 from 32 (and its odd small forms).
let movSignRegister: [apus_handler] = [
    { c, o in movSignR(UInt16.self, UInt8.self, c, o) },
    { c, o in movSignR(UInt32.self, UInt8.self, c, o) },
    { c, o in movSignR(UInt64.self, UInt8.self, c, o) },
    { c, o in movSignR(UInt16.self, UInt16.self, c, o) },
    { c, o in movSignR(UInt32.self, UInt16.self, c, o) },
    { c, o in movSignR(UInt64.self, UInt16.self, c, o) },
    { c, o in movSignR(UInt16.self, UInt32.self, c, o) },
    { c, o in movSignR(UInt32.self, UInt32.self, c, o) },
    { c, o in movSignR(UInt64.self, UInt32.self, c, o) },
]
let movSignMemory: [apus_handler] = [
    { c, o in movSignM(UInt16.self, UInt8.self, c, o) },
    { c, o in movSignM(UInt32.self, UInt8.self, c, o) },
    { c, o in movSignM(UInt64.self, UInt8.self, c, o) },
    { c, o in movSignM(UInt16.self, UInt16.self, c, o) },
    { c, o in movSignM(UInt32.self, UInt16.self, c, o) },
    { c, o in movSignM(UInt64.self, UInt16.self, c, o) },
    { c, o in movSignM(UInt16.self, UInt32.self, c, o) },
    { c, o in movSignM(UInt32.self, UInt32.self, c, o) },
    { c, o in movSignM(UInt64.self, UInt32.self, c, o) },
]

let xchgRegisterRegister: [apus_handler] = [
    { c, o in xchgRR(UInt8.self, c, o) },
    { c, o in xchgRR(UInt16.self, c, o) },
    { c, o in xchgRR(UInt32.self, c, o) },
    { c, o in xchgRR(UInt64.self, c, o) },
]
