"Marks of a logarithmic axis, by numpy."
import numpy as np


def cases_kept():
    values = [.3, 0., 2.5, 9.1, float('nan')]
    low, high = .3/1.15, 9.1*1.15
    at = [.01, .3, 1., 2.5, 99.]
    shares = np.clip((np.log(at) - np.log(low))/(np.log(high) - np.log(low)), 0, 1)
    curves = [[1., .97, .8, None, None], [1., 1., 1., 1., 1.]]
    return dict(values=[v if v == v else None for v in values], span=[low, high], at=at, shares=shares.tolist(),
                marks=[[.5, '1/2'], [1., '1'], [2., '2'], [4., '4'], [8., '8']], curves=curves, last=[2, 4])
