"""An independent simulator of inference, from the definitions in the docs and not from lifesym.

Everything is an exact fraction. A model is a list of layers that are walked one by one; every
kernel reads and writes tensors that have identities, so that a fused kernel reads what comes from
outside once and writes what is needed outside. A device of tensor parallelism is built from its own
shapes. Nothing is symbolic, and nothing is multiplied by a number of layers.

`configs` reads published configs, `walk` and its neighbours run a pass, `fusion` joins kernels,
`clock` times them, `workload` adds passes up to forecasts, `serving` to served forms, and `draws`
makes up models, devices and options for both sides.
"""
