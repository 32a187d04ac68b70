"""What the sparsity of a k-sparse code saves: the same numbers from a part of the products.

`training` computes a step on the units that a batch uses, `classifier` one on the units that are ever active,
`gradients` the mean gradient over many points of an image from one product with the encoder. All are exact
but for the order of additions; the plain computations that they stand for are their tests, and `structure`
and `proof` tell of which networks they are.
"""
