/* Reset: switch the floating-point unit on where there is one, then newlib's start. */
extern void _start(void);
extern char __stack;
void reset(void);
__attribute__((section(".vectors"), used)) static void *const vectors[2] = {&__stack, (void *)reset};

void reset(void)
{
#ifdef __ARM_FP
    *(volatile unsigned *)0xE000ED88 |= 0xFU << 20;
    __asm volatile("dsb\nisb");
#endif
    _start();
}
