"""Writes sampler.txt: lower halves of 128-bit distribution tables, with mpmath at 600 bits."""
from mpmath import exp, floor, mp, mpf

mp.prec = 600
print("# volume sigma_units k floor(2^128 P(X <= k))")
for volume, units in [(4, 64), (12, 614), (48, 2662), (304, 19302), (1616, 103424), (32768, 1 << 21)]:
    centre = volume // 4
    sigma = mpf(units) / 1024
    weight = [exp(-mpf(d * d) / (2 * sigma**2)) for d in range(centre + 1)]
    total = weight[0] + 2 * sum(weight[1:])
    cumulative = mpf(0)
    step = max(1, centre // 40)
    for k in range(centre):
        cumulative += weight[centre - k]
        if k % step == 0 or k == centre - 1:
            print(volume, units, k, int(floor(cumulative / total * 2**128)))
