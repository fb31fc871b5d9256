#ifndef APUS_CENGINE_H
#define APUS_CENGINE_H
#include "x86_state.h"
#include "guest_access.h"
#include "local_apic.h"
#include "vcpu.h"
#include "alu.h"
#include "locked.h"
#include "translated.h"
#include "x87.h"
#endif
