print("apus-vmm")
